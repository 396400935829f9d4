#include "text/chat_template.h"

namespace skua {

std::optional<std::string> find_chat_template(const GgufFile& file,
                                              bool with_tools) {
  constexpr const char* kKey = "tokenizer.chat_template";
  const std::string named = std::string(kKey) + ".tool_use";
  if (with_tools && file.has(named)) return std::string(file.string(named));
  if (!file.has(kKey)) return std::nullopt;
  return std::string(file.string(kKey));
}

}  // namespace skua
