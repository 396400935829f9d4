#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace skua::jinja {

struct Expr;
struct Statement;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<std::unique_ptr<Statement>>;

enum class ExprKind : std::uint8_t {
  kConst,      // constant
  kName,       // name
  kTuple,      // children
  kList,       // children
  kDict,       // children: key, value, key, value...
  kAttribute,  // children[0] . name
  kItem,       // children[0] [ children[1] ]
  kSlice,      // children: start, stop, step; each may be null
  kCall,       // children[0] ( arguments )
  kFilter,     // children[0] | name ( arguments ); null child in blocks
  kTest,       // children[0] is name ( arguments )
  kNot,
  kNegative,
  kPositive,
  kBinary,  // children[0] name children[1]
  kAnd,
  kOr,
  kCompare,  // children with ops between them
  kConcat,   // children joined by ~
  kIfElse,   // children: condition, value, other; other may be null
};

struct Expr {
  ExprKind kind;
  std::uint32_t offset;
  std::uint32_t depth = 1;  // longest path down, bounded by the parser
  Value constant;
  std::string name;
  std::vector<ExprPtr> children;
  std::vector<std::string> ops;
  // Arguments of calls, filters and tests.
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr more_positional;  // *args
  ExprPtr more_named;       // **kwargs
};

enum class StatementKind : std::uint8_t {
  kText,         // text
  kOutput,       // exprs, each printed
  kSet,          // target = exprs[0]
  kSetBlock,     // target = body, through filter
  kIf,           // exprs[i] guards bodies[i]; one more body is `else`
  kFor,          // target in exprs[0] (if filter); bodies: loop, else
  kWith,         // targets[i] = exprs[i]; bodies[0]
  kMacro,        // text = name; signature; bodies[0]
  kCallBlock,    // exprs[0] is the call; signature; bodies[0]
  kFilterBlock,  // filter; bodies[0]
  kScope,        // bodies[0] in a scope of its own
  kBreak,
  kContinue,
};

/** Where an assignment goes: a name, an attribute of a namespace, or a tuple
 *  of targets. */
struct Target {
  std::uint32_t offset = 0;
  std::string name;
  std::string attribute;
  std::vector<Target> parts;
  bool is_tuple = false;
};

struct Signature {
  std::vector<std::string> names;
  std::vector<ExprPtr> defaults;  // of the last names
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
};

struct Statement {
  StatementKind kind;
  std::uint32_t offset;
  std::string text;
  std::vector<ExprPtr> exprs;
  std::vector<Target> targets;
  std::vector<Body> bodies;
  ExprPtr filter;
  Signature signature;
  bool recursive = false;
};

}  // namespace skua::jinja
