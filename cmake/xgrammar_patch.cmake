# Makes xgrammar compute the token mask of a parser state when a matcher first
# reaches it, and not those of all states when a grammar is compiled: a state
# inside a string takes some 20 ms for 128k tokens, and a schema with open
# objects has thousands. Edits the unpacked sources under ${root}.
function(_skua_replace file from to)
  file(READ ${root}/${file} text)
  string(FIND "${text}" "${from}" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "${file} of xgrammar is not the expected version: "
      "it has no '${from}'")
  endif()
  string(REPLACE "${from}" "${to}" text "${text}")
  file(WRITE ${root}/${file} "${text}")
endfunction()

_skua_replace(cpp/compiled_grammar_impl.h
  "  Grammar GetGrammar() const { return grammar; }"
  "  using MaskCache = decltype(adaptive_token_mask_cache);
  std::mutex mask_mutex;
  /* Entries are never removed nor moved: the buckets are reserved. */
  MaskCache::const_iterator FindMask(const ParserState& state);

  Grammar GetGrammar() const { return grammar; }")
_skua_replace(cpp/compiled_grammar_impl.h
  "#include \"xgrammar/compiler.h\""
  "#include \"xgrammar/compiler.h\"\n#include <mutex>")
_skua_replace(cpp/compiled_grammar.cc
  "  return MemorySize(impl.grammar) + MemorySize(impl.adaptive_token_mask_cache);"
  "  std::lock_guard<std::mutex> lock(const_cast<CompiledGrammar::Impl&>(impl).mask_mutex);
  return MemorySize(impl.grammar) + MemorySize(impl.adaptive_token_mask_cache);")
_skua_replace(cpp/grammar_matcher.cc
  "adaptive_token_mask_cache.find(state);"
  "compiled_grammar_->FindMask(state);")
_skua_replace(cpp/grammar_compiler.cc
  "      add_task_adaptive_token_mask(cur_stack_element, rule_id == root_rule_id);"
  "      ++scanable_states;")
_skua_replace(cpp/grammar_compiler.cc
  "  auto root_rule_id = compiled_grammar_impl->grammar->GetRootRuleId();"
  "  std::size_t scanable_states = 0;")
_skua_replace(cpp/grammar_compiler.cc
  "  return CompiledGrammar(compiled_grammar_impl);
}

CompiledGrammar GrammarCompilerSub::CompileBuiltinJSONGrammar() {"
  "  compiled_grammar_impl->adaptive_token_mask_cache.reserve(scanable_states);
  return CompiledGrammar(compiled_grammar_impl);
}

CompiledGrammar::Impl::MaskCache::const_iterator CompiledGrammar::Impl::FindMask(
    const ParserState& state) {
  std::lock_guard<std::mutex> lock(mask_mutex);
  auto found = adaptive_token_mask_cache.find(state);
  if (found != adaptive_token_mask_cache.end()) return found;
  ParserState start(state.rule_id, grammar->GetRule(state.rule_id).body_expr_id,
                    state.element_id, ParserState::kNoPrevInputPos, 0);
  const std::unordered_map<int32_t, DynamicBitset> no_dispatch;
  std::optional<RuleLevelCache> no_cache;
  GrammarMatcherForTokenMaskCache matcher(grammar, start, no_dispatch, tokenizer_info, no_cache);
  auto mask = matcher.GetAdaptiveTokenMask(state.rule_id == grammar->GetRootRuleId());
  return adaptive_token_mask_cache.emplace(start, std::move(mask)).first;
}

CompiledGrammar GrammarCompilerSub::CompileBuiltinJSONGrammar() {")
