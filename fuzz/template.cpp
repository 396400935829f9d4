// Parses and renders any text as a chat template within small limits.
#include <cstddef>
#include <cstdint>
#include <string>

#include "skua/error.h"
#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const skua::Json kContext = skua::Json::parse(R"({
    "messages": [
      {"role": "system", "content": "Be brief."},
      {"role": "user", "content": [{"type": "text", "text": "h\u00e9llo <b>"}]},
      {"role": "assistant", "content": null, "tool_calls": [
        {"function": {"name": "f", "arguments": {"x": 1.5, "y": [true]}}}]}],
    "tools": [{"name": "f", "parameters": {"b": 1, "a": {}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "n": 7})");
  skua::TemplateLimits limits;
  limits.max_steps = 200'000;
  limits.max_depth = 300;
  limits.max_output_bytes = 1 << 20;
  limits.max_memory_bytes = 16 << 20;
  limits.now = 0;
  try {
    const skua::ChatTemplate chat_template(
        std::string(reinterpret_cast<const char*>(data), size));
    chat_template.render(kContext, limits);
  } catch (const skua::InvalidInput&) {
  }
  return 0;
}
