# Makes xgrammar a parser of bytes: no token masks are computed when a grammar
# is compiled, as text/grammar_masks.h finds them where an answer gets to, and
# a matcher takes single bytes and tells its state as a key (state_key.h).
# Edits the unpacked sources under ${root}/source.
function(_skua_replace file from to)
  file(READ ${root}/source/${file} text)
  string(FIND "${text}" "${from}" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "${file} of xgrammar is not the expected version: "
      "it has no '${from}'")
  endif()
  string(REPLACE "${from}" "${to}" text "${text}")
  file(WRITE ${root}/source/${file} "${text}")
endfunction()

_skua_replace(cpp/grammar_compiler.cc
  "      add_task_adaptive_token_mask(cur_stack_element, rule_id == root_rule_id);"
  "")
_skua_replace(include/xgrammar/matcher.h
  "#include <dlpack/dlpack.h>"
  "#include <dlpack/dlpack.h>\n#include <state_key.h>")
_skua_replace(include/xgrammar/matcher.h
  "  void Rollback(int num_tokens = 1);"
  "  void Rollback(int num_tokens = 1);

  /*! \\brief Takes a byte; false, and nothing changes, where none of the kind may follow. */
  bool PushByte(uint8_t byte);
  /*! \\brief Takes back the last bytes that were pushed. */
  void PopBytes(int n);
  StateKey GetStateKey();")
_skua_replace(cpp/grammar_matcher.cc
  "  void Rollback(int num_tokens);"
  "  void Rollback(int num_tokens);

  bool PushByte(uint8_t byte) {
    const int32_t n_rows = scanable_state_history_.size();
    /* Reaching the end of a budget changes the last row, which other bytes start from too. */
    const auto& row = scanable_state_history_[n_rows - 1];
    if (std::any_of(row.begin(), row.end(), [this](const ParserState& state) {
          return IsCharExpiredState(state);
        })) {
      PushStatesToCheck(GetLatestScanableStates(), IsCompleted());
    }
    if (!AdvanceWithCharacterBudget(byte)) {
      PopLastStates(scanable_state_history_.size() - n_rows);
      return false;
    }
    rows_before_bytes_.push_back(n_rows);
    return true;
  }

  void PopBytes(int n) {
    if (n == 0) return;
    const auto first = rows_before_bytes_.end() - n;
    PopLastStates(scanable_state_history_.size() - *first);
    rows_before_bytes_.erase(first, rows_before_bytes_.end());
  }")
_skua_replace(cpp/grammar_matcher.cc
  "  CompiledGrammar compiled_grammar_;
  TokenizerInfo tokenizer_info_;"
  "  std::vector<int32_t> rows_before_bytes_;
  CompiledGrammar compiled_grammar_;
  TokenizerInfo tokenizer_info_;")
_skua_replace(cpp/grammar_matcher.cc
  "void GrammarMatcher::Rollback(int num_tokens) { pimpl_->Rollback(num_tokens); }"
  "void GrammarMatcher::Rollback(int num_tokens) { pimpl_->Rollback(num_tokens); }

bool GrammarMatcher::PushByte(uint8_t byte) { return pimpl_->PushByte(byte); }

void GrammarMatcher::PopBytes(int n) { pimpl_->PopBytes(n); }

StateKey GrammarMatcher::GetStateKey() {
  return pimpl_->GetStateKey();
}")
_skua_replace(cpp/earley_parser.h
  "#include \"grammar_impl.h\""
  "#include <state_key.h>\n\n#include \"grammar_impl.h\"")
_skua_replace(cpp/earley_parser.h
  "  /*!
   * \\brief Remove the newly added states."
  "  StateKey GetStateKey();

  /*!
   * \\brief Remove the newly added states.")
_skua_replace(cpp/earley_parser.h
  "  bool IsRuleNullable(int32_t rule_id) const { return"
  "  struct RowKey {
    StateKey::Digest exact, unbounded;
  };
  /*! \\brief Those of the first rows, the last one never among them. */
  std::vector<RowKey> row_keys_;
  template <typename Hashers>
  void AddToKey(const ParserState& state, int32_t row, Hashers& hashers) const;

  bool IsRuleNullable(int32_t rule_id) const { return")
_skua_replace(cpp/earley_parser.cc
  "  scanable_state_history_.PopBack(cnt);"
  "  scanable_state_history_.PopBack(cnt);
  row_keys_.resize(std::min<std::size_t>(row_keys_.size(), scanable_state_history_.size() - 1));")
_skua_replace(cpp/earley_parser.cc
  "  stop_token_is_accepted_ = false;
  if (capture_tracking_) {
    capture_event_history_.PopBack(capture_event_history_.size());"
  "  stop_token_is_accepted_ = false;
  row_keys_.clear();
  if (capture_tracking_) {
    capture_event_history_.PopBack(capture_event_history_.size());")
