#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "text/jinja_lexer.h"
#include "text/jinja_text.h"
#include "text/template_limits.h"

/** Values of a rendering, with Python's rules for them. */
namespace skua::jinja {

class Interpreter;
class Value;
struct Args;

/** Counts the live bytes of one rendering; constants have no account. */
struct Tracked {
  Tracked() = default;
  Tracked(const Tracked&) = delete;
  Tracked& operator=(const Tracked&) = delete;
  ~Tracked() {
    if (account) *account -= bytes;
  }
  std::size_t* account = nullptr;
  std::size_t bytes = 0;
};

struct StringData : Tracked {
  std::string text;
  bool ascii = true;
  bool markup = false;  // `safe` and `escape` give text that `+` escapes into
};

enum class SequenceKind : std::uint8_t {
  kList,
  kTuple,
  kRange,
  kGenerator,  // read once
  kKeys,
  kValues,
  kItems,
};

struct SequenceData : Tracked {
  SequenceKind kind = SequenceKind::kList;
  std::uint32_t depth = 1;
  std::uint32_t key_weight = 0;  // values inside a tuple; 0: unhashable
  std::vector<Value> items;
  std::string text;  // repr of a range
};

struct DictData;
struct UndefinedData {
  std::string message;
};

/** What is neither data nor undefined: namespaces, macros, loops, methods. */
struct Object : Tracked {
  virtual ~Object() = default;
  virtual std::string type_name() const = 0;
  virtual std::string repr() const;
  virtual bool callable() const { return true; }
  /** How deep the values that it holds are nested. */
  virtual std::uint32_t depth() const { return 1; }
  virtual std::optional<Value> attribute(Interpreter&, std::string_view);
  virtual Value call(Interpreter&, const Args&);
  /** Drops what it holds, so that cycles end with the rendering. */
  virtual void clear() {}
};

struct None {};
using StringPtr = std::shared_ptr<const StringData>;
using SequencePtr = std::shared_ptr<SequenceData>;
using DictPtr = std::shared_ptr<const DictData>;
using ObjectPtr = std::shared_ptr<Object>;
using UndefinedPtr = std::shared_ptr<const UndefinedData>;

class Value {
  template <typename Pointer>
  auto get() const {
    const Pointer* pointer = std::get_if<Pointer>(&data_);
    return pointer ? pointer->get() : nullptr;
  }

 public:
  Value() : data_(None{}) {}
  Value(bool value) : data_(value) {}
  Value(Int value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(StringPtr value) : data_(std::move(value)) {}
  Value(SequencePtr value) : data_(std::move(value)) {}
  Value(DictPtr value) : data_(std::move(value)) {}
  Value(ObjectPtr value) : data_(std::move(value)) {}
  Value(UndefinedPtr value) : data_(std::move(value)) {}
  template <typename T>
  Value(T*) = delete;  // would become a bool
  // Inline they take a fifth of the compile time of files that use values.
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();

  bool is_none() const { return std::holds_alternative<None>(data_); }
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const double* floating() const { return std::get_if<double>(&data_); }
  /** An integer; True and False are 1 and 0. */
  std::optional<Int> integer() const;
  bool is_number() const { return integer() || floating(); }
  /** Any number as a double; 0 for other kinds. */
  double number() const;
  const StringData* string() const { return get<StringPtr>(); }
  SequenceData* sequence() const { return get<SequencePtr>(); }
  const DictData* dict() const { return get<DictPtr>(); }
  Object* object() const { return get<ObjectPtr>(); }
  bool is_undefined() const {
    return std::holds_alternative<UndefinedPtr>(data_);
  }
  const std::string& undefined_message() const {
    return std::get<UndefinedPtr>(data_)->message;
  }
  bool is(SequenceKind kind) const {
    return sequence() && sequence()->kind == kind;
  }
  /** The same object, or equal by identity rules for numbers and None. */
  bool same_as(const Value& other) const;
  std::uint32_t depth() const;

 private:
  std::variant<None, bool, Int, double, StringPtr, SequencePtr, DictPtr,
               ObjectPtr, UndefinedPtr>
      data_;
};

using Pairs = std::vector<std::pair<Value, Value>>;

/** A dict in order of insertion, never changed after it is built. */
struct DictData : Tracked {
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  std::uint32_t depth = 1;
  Pairs items;
  std::vector<std::uint32_t> order;  // items sorted by key, for find
};

/** Arguments of a call. */
struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/** Order of dict keys: <0, 0, >0. Throws Failure for an unhashable key. */
int compare_keys(const Value& a, const Value& b);
constexpr std::uint32_t kMaxKeyWeight = 1000;

/** How many values a key holds, counted up to kMaxKeyWeight + 1; 0 for an
 *  unhashable one. */
std::uint32_t key_weight(const Value& value);

/** Makes values and holds a rendering to its limits. Every function that
 *  makes or walks values throws Failure where a limit is passed. */
class Heap {
 public:
  explicit Heap(const TemplateLimits& limits) : limits_(limits) {}
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  const TemplateLimits& limits() const { return limits_; }
  void step(std::size_t count = 1);
  /** Accounts for reading or writing `bytes`. */
  void work(std::size_t bytes) { step(1 + bytes / 64); }
  /** Throws unless `bytes` more fit into the memory limit. */
  void reserve(std::size_t bytes) const;
  void append(std::string& out, std::string_view text) const;

  Value string(std::string text, bool markup = false);
  Value sequence(std::vector<Value> items, SequenceKind kind);
  Value list(std::vector<Value> items) {
    return sequence(std::move(items), SequenceKind::kList);
  }
  Value tuple(std::vector<Value> items) {
    return sequence(std::move(items), SequenceKind::kTuple);
  }
  Value generator(std::vector<Value> items) {
    return sequence(std::move(items), SequenceKind::kGenerator);
  }
  Value dict(Pairs items);
  Value undefined(std::string message);
  /** `bytes`: the size of what it holds by itself. */
  Value object(ObjectPtr object, std::size_t bytes = 0);
  Value json(const Json& value, int depth = 0);
  /** Keeps `object` until the end of the rendering, then clears it. */
  void keep(ObjectPtr object) { kept_.push_back(std::move(object)); }

  bool truth(const Value& value);
  bool equal(const Value& a, const Value& b);
  /** <0, 0, >0 for ordered kinds; Failure for others, naming `op`. */
  int compare(const Value& a, const Value& b, const char* op = "<");
  std::string str(const Value& value);
  std::string repr(const Value& value);
  /** Items of an iterable; a generator is empty afterwards. Throws Failure
   *  for a value that is not iterable. */
  std::vector<Value> iterate(const Value& value);
  std::size_t length(const Value& value);

 private:
  void track(Tracked& tracked, std::size_t bytes);
  std::uint32_t nested(std::uint32_t depth) const;
  void repr_to(std::string& out, const Value& value);
  void repr_sequence(std::string& out, const SequenceData& sequence);

  TemplateLimits limits_;
  std::size_t steps_ = 0;
  std::size_t live_ = 0;
  std::vector<ObjectPtr> kept_;
};

/** Python's name of the value's type: "str", "dict", "NoneType"... */
std::string type_name(const Value& value);

/** A string constant of a template, outside any rendering. */
Value constant_string(std::string text);

}  // namespace skua::jinja
