#include "text/rank_file.h"

namespace skua {
namespace {

AddedToken special(std::string content, std::size_t id) {
  AddedToken token;
  token.id = static_cast<std::int32_t>(id);
  token.content = std::move(content);
  token.special = true;
  return token;
}

PreKind pre_of(std::string_view name) {
  return *find_pre_kind(name);
}

RankKind qwen(std::size_t n) {
  RankKind kind = {pre_of("qwen2"), {}, "", "<|endoftext|>"};
  for (const char* name : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"})
    kind.special.push_back(special(name, n++));
  for (int i = 0; i < 205; ++i)
    kind.special.push_back(special("<|extra_" + std::to_string(i) + "|>", n++));
  return kind;
}

RankKind llama3(std::size_t n) {
  RankKind kind = {
      pre_of("llama3"), {}, "<|begin_of_text|>", "<|end_of_text|>"};
  const char* named[] = {"<|begin_of_text|>",
                         "<|end_of_text|>",
                         "<|reserved_special_token_0|>",
                         "<|reserved_special_token_1|>",
                         "<|finetune_right_pad_id|>",
                         "<|step_id|>",
                         "<|start_header_id|>",
                         "<|end_header_id|>",
                         "<|eom_id|>",
                         "<|eot_id|>",
                         "<|python_tag|>"};
  constexpr int kSpecial = 256;
  for (const char* name : named) kind.special.push_back(special(name, n++));
  for (int i = 2; static_cast<int>(kind.special.size()) < kSpecial; ++i)
    kind.special.push_back(
        special("<|reserved_special_token_" + std::to_string(i) + "|>", n++));
  return kind;
}

}  // namespace

std::optional<RankKind> find_rank_kind(std::string_view name,
                                       std::size_t n_ranks) {
  const std::string end = "<|endoftext|>";
  const std::string end_of_prompt = "<|endofprompt|>";
  if (name == "qwen") return qwen(n_ranks);
  const bool llama_file = name == "tokenizer" && n_ranks == 128000;
  if (llama_file || name.starts_with("llama3")) return llama3(n_ranks);
  if (name == "o200k_base")
    return RankKind{pre_of("gpt-4o"),
                    {special(end, 199999), special(end_of_prompt, 200018)},
                    "",
                    end};
  if (name == "cl100k_base")
    return RankKind{
        pre_of("dbrx"),
        {special(end, 100257), special("<|fim_prefix|>", 100258),
         special("<|fim_middle|>", 100259), special("<|fim_suffix|>", 100260),
         special(end_of_prompt, 100276)},
        "",
        end};
  if (name == "gpt2" || name == "r50k_base" || name == "p50k_base")
    return RankKind{pre_of("gpt-2"), {special(end, 50256)}, "", end};
  if (name == "multilingual")
    return RankKind{pre_of("gpt-2"), {special(end, n_ranks)}, "", end};
  // Kimi; its special tokens are in tokenizer_config.json.
  if (name == "tiktoken") return RankKind{pre_of("kimi-k2"), {}, "", ""};
  return std::nullopt;
}

}  // namespace skua
