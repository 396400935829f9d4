#pragma once

#include <xgrammar/xgrammar.h>

#include <memory>
#include <set>

#include "text/grammar.h"
#include "text/grammar_masks.h"

namespace skua {

/** What a compiled grammar and its matchers share; private to grammar*.cpp. */
struct CompiledGrammar::Impl {
  xgrammar::CompiledGrammar grammar;
  std::unique_ptr<GrammarMasks> masks;
  std::set<std::int32_t> end_ids;
  std::int32_t logits_size;
};

}  // namespace skua
