// Real chat templates: what format each has, and the calls that it renders,
// read back.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <optional>

#include "base/json.h"
#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/text/message_support.h"
#include "tests/unit/text/rendered_calls.h"
#include "text/chat_template.h"

namespace skua {
namespace {

using test::rendered::read_template, test::rendered::render;
using test::rendered::render_turn;
using test::rendered::tools;
using test::rendered::Turn, test::rendered::conversations;

struct Expected {
  const char* file;  // without .jinja
  const char* format;
  // Of the calls in conversations(), how many the template renders.
  int n_calls;
  // What the answer begins behind, where the prompt asks for reasoning.
  const char* open = "";
};

const std::vector<Expected>& expected() {
  static const std::vector<Expected> kExpected = {
      {"Apertus-8B-Instruct", "apertus", 5},
      {"Apriel-1.6-15b-Thinker-fixed", "apriel", 5,
       "Here are my reasoning steps:"},
      {"Bielik-11B-v3.0-Instruct", "hermes", 5},
      {"ByteDance-Seed-OSS", "seed_oss", 5},
      {"Cohere2MoE", "command_r7b", 5, "<|START_THINKING|>"},
      {"CohereForAI-c4ai-command-r-plus-tool_use", "command_r", 5},
      {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "command_r7b", 5},
      {"GLM-4.6", "glm", 5},
      {"GLM-4.7-Flash", "glm", 5, "<think>"},
      {"GLM-5.2", "glm", 5, "<think>"},
      {"GigaChat3-10B-A1.8B", "gigachat", 5},
      {"GigaChat3.1-10B-A1.8B", "gigachat", 5},
      {"HuggingFaceTB-SmolLM3-3B", "hermes", 0},
      {"Kimi-K2-Instruct", "kimi_k2", 5},
      {"Kimi-K2-Thinking", "kimi_k2", 5},
      {"LFM2-8B-A1B", "lfm2", 0},
      {"LFM2.5-Instruct", "lfm2", 0},
      {"MiMo-VL", "hermes", 5},
      {"MiroThinker", "mirothinker", 5},
      {"Mistral-Small-3.2-24B-Instruct-2506", "mistral", 5},
      {"NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "qwen3_coder", 5, "<think>"},
      {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", "hermes", 5},
      {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes", 5},
      {"Qwen-QwQ-32B", "hermes", 5},
      {"Qwen-Qwen2.5-7B-Instruct", "hermes", 5},
      {"Qwen-Qwen3-0.6B", "hermes", 5},
      {"Qwen3-Coder", "qwen3_coder", 5},
      {"Qwen3.5-4B", "qwen3_coder", 5, "<think>"},
      {"Reka-Edge", "hermes", 5},
      {"StepFun3.5-Flash", "qwen3_coder", 5, "<think>"},
      {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek_v3", 5, "<think>"},
      {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "deepseek_v3", 5},
      {"deepseek-ai-DeepSeek-V3.1", "deepseek_v3", 5},
      {"deepseek-ai-DeepSeek-V3.2", "deepseek_v32", 5},
      {"deepseek-ai-DeepSeek-V4", "deepseek_v32", 5},
      {"fireworks-ai-llama-3-firefunction-v2", "firefunction", 5},
      {"google-gemma-2-2b-it", "gemma3", 0},
      {"google-gemma-4-31B-it", "gemma4", 5},
      {"google-gemma-4-31B-it-interleaved", "gemma4", 5},
      {"ibm-granite-granite-3.3-2B-Instruct", "granite", 0},
      {"llama-cpp-deepseek-r1", "deepseek_v3", 5, "<think>"},
      {"llama-cpp-rwkv-world", "plain", 0},
      {"meetkai-functionary-medium-v3.1", "functionary_v31", 5},
      {"meetkai-functionary-medium-v3.2", "functionary_v32", 5, ">>>"},
      {"meta-llama-Llama-3.1-8B-Instruct", "llama3", 5},
      {"meta-llama-Llama-3.2-3B-Instruct", "llama3", 5},
      {"meta-llama-Llama-3.3-70B-Instruct", "llama3", 5},
      {"microsoft-Phi-3.5-mini-instruct", "plain", 0},
      {"mistralai-Ministral-3-14B-Reasoning-2512", "mistral", 5},
      {"mistralai-Mistral-Nemo-Instruct-2407", "mistral", 5},
      {"moonshotai-Kimi-K2", "kimi_k2", 5},
      {"openai-gpt-oss-120b", "gpt_oss", 5, "<|start|>"},
      {"stepfun-ai-Step-3.5-Flash", "qwen3_coder", 5, "<think>"},
      {"unsloth-Apriel-1.5", "apriel", 5},
      {"unsloth-mistral-Devstral-Small-2507", "mistral", 5},
  };
  return kExpected;
}

// Does `got` have the name and arguments of `wanted`, where these are JSON or
// its text? Some templates sort them.
bool is_same(const ToolCall& got, const Json& wanted) {
  const Json& given = wanted["arguments"];
  const Json arguments =
      given.is_string() ? Json::parse(given.get<std::string>()) : given;
  return got.name == wanted["name"].get<std::string>() &&
         nlohmann::json(parse_json(got.arguments, "arguments")) ==
             nlohmann::json(arguments);
}

int read_back(const Expected& expected, const Turn& turn, const Json& calls) {
  const auto& format = message_format(expected.format);
  const auto message = test::parse(
      format, turn.text, {.tools = tools(), .open_marker = turn.open});
  EXPECT_EQ(message.calls.size(), calls.size())
      << expected.file << " from [" << turn.open << "]" << turn.text << "\n"
      << test::show(message);
  int n_equal = 0;
  for (std::size_t i = 0; i < std::min(message.calls.size(), calls.size());
       ++i) {
    const bool equal = is_same(message.calls[i], calls[i]["function"]);
    EXPECT_TRUE(equal) << expected.file << ": " << turn.text << "\n"
                       << test::show(message);
    n_equal += equal;
  }
  return n_equal;
}

TEST(MessageTemplates, RenderedCallsAreReadBack) {
  SKUA_ASSET_OR_SKIP(folder, "templates");
  int passed = 0, total = 0;
  for (const auto& each : expected()) {
    const ChatTemplate chat_template = read_template(folder, each.file);
    int rendered = 0, equal = 0;
    for (const auto& calls : conversations()) {
      const auto& format = message_format(each.format);
      std::vector<Json> answers = {calls};
      // Some take one call at a time.
      if (!render_turn(chat_template, format, calls)) {
        answers.clear();
        for (const auto& one : calls) answers.push_back(Json::array({one}));
      }
      for (const auto& answer : answers) {
        const auto turn = render_turn(chat_template, format, answer);
        if (!turn) continue;
        rendered += static_cast<int>(answer.size());
        equal += read_back(each, *turn, answer);
      }
    }
    std::printf("  %-50s %-16s %d/%d calls\n", each.file, each.format, equal,
                rendered);
    EXPECT_EQ(rendered, each.n_calls) << each.file;
    passed += equal;
    total += rendered;
  }
  std::printf("templates/: %d/%d rendered calls read back\n", passed, total);
  EXPECT_EQ(passed, total);
}

// The text between two messages.
std::string_view turn_between(std::string_view text, std::string_view question,
                              std::string_view answer) {
  const std::size_t begin = text.find(question);
  if (begin == std::string_view::npos) return {};
  text.remove_prefix(begin + question.size());
  return text.substr(0, text.find(answer));
}

// What Jinja2 rendered of three calls. Around each are the marks of turns and
// the tool's result, so that formats whose calls begin a message are left out.
TEST(MessageTemplates, GoldenCallsAreReadBack) {
  SKUA_ASSET_OR_SKIP(path, "templates/golden_renderings.json");
  const Json golden = read_json(path);
  int passed = 0, total = 0;
  for (const auto& each : golden["cases"]) {
    const std::string file = each["template"], context = each["context"];
    const auto source =
        path.parent_path() / std::filesystem::path(file).filename();
    if (!context.starts_with("tool_use") || !each.contains("output") ||
        !std::filesystem::exists(source))
      continue;
    const auto& format = detect_message_format(test::read_text(source));
    if (format.name == "llama3") continue;
    const Json& messages = golden["contexts"][context]["messages"];
    for (std::size_t i = 0; i + 3 < messages.size(); ++i) {
      if (!messages[i + 1].contains("tool_calls")) continue;
      const auto& call = messages[i + 1]["tool_calls"][0]["function"];
      const auto turn = turn_between(
          each["output"].get_ref<const std::string&>(),
          messages[i]["content"].get_ref<const std::string&>(),
          messages[i + 3]["content"].get_ref<const std::string&>());
      if (turn.find(call["name"].get_ref<const std::string&>()) ==
          std::string_view::npos)
        continue;
      ++total;
      const auto message = test::parse(
          format, turn, {.tools = golden["contexts"][context]["tools"]});
      const bool equal =
          message.calls.size() == 1 && is_same(message.calls[0], call);
      EXPECT_TRUE(equal) << file << " " << context << ": " << turn << "\n"
                         << test::show(message);
      passed += equal;
    }
  }
  std::printf("golden_renderings.json: %d/%d calls read back\n", passed, total);
  EXPECT_GT(total, 0);
}

// Hugging Face's cases: those whose rendering shows calls, read back.
TEST(MessageTemplates, HuggingFaceCallsAreReadBack) {
  SKUA_ASSET_OR_SKIP(path, "templates/e2e_cases.json");
  const std::map<std::string, std::string> formats = {
      {"meetkai/functionary-medium-v2.2", "functionary_v2"},
      {"CohereForAI/c4ai-command-r-v01 (JSON Schema)", "command_r"},
      {"mistralai/Mistral-7B-Instruct-v0.3 (JSON Schema)", "mistral"},
      {"Qwen/Qwen2.5-7B-Instruct", "hermes"},
      {"Qwen/Qwen3.5-4B", "qwen3_coder"},
      {"openbmb/MiniCPM3-4B", "minicpm3"},
      {"zai-org/GLM-5.1", "glm"}};
  const Json cases = read_json(path);
  int passed = 0, total = 0;
  for (const auto& each : cases) {
    const auto expected = formats.find(each["name"].get<std::string>());
    if (expected == formats.end()) continue;
    const Json& messages = each["data"]["messages"];
    std::size_t at = 0;
    while (messages[at].value("tool_calls", Json()).empty()) ++at;
    const auto& format =
        detect_message_format(each["chat_template"].get<std::string>());
    EXPECT_EQ(format.name, expected->second) << expected->first;
    const std::string text = each["target"];
    const std::size_t begin =
        at ? text.rfind(messages[at - 1]["content"].get<std::string>()) : 0;
    ASSERT_NE(begin, std::string::npos) << expected->first;
    const std::string turn = text.substr(begin);
    const auto message = test::parse(format, turn);
    const Json& calls = messages[at]["tool_calls"];
    total += static_cast<int>(calls.size());
    ASSERT_GE(message.calls.size(), calls.size()) << turn << "\n"
                                                  << test::show(message);
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const Json& call =
          calls[i].contains("function") ? calls[i]["function"] : calls[i];
      const bool equal = is_same(message.calls[i], call);
      EXPECT_TRUE(equal) << turn << "\n" << test::show(message);
      passed += equal;
    }
  }
  std::printf("e2e_cases.json: %d/%d calls read back\n", passed, total);
  EXPECT_GE(total, static_cast<int>(formats.size()));
}

TEST(MessageTemplates, HuggingFaceFormatsAreDetected) {
  SKUA_ASSET_OR_SKIP(path, "templates/e2e_cases.json");
  const std::map<std::string, std::string> formats = {
      {"fireworks-ai/firefunction-v1", "firefunction_v1"},
      {"NousResearch/Hermes-2-Pro-Llama-3-8B (JSON Schema)", "hermes"},
      {"mistralai/Mistral-Nemo-Instruct-2407", "mistral"},
      {"meta-llama/Llama-3.1-8B-Instruct", "llama3"},
      {"meta-llama/Llama-3.2-11B-Vision-Instruct", "llama3"},
      {"deepseek-ai/DeepSeek-R1", "deepseek_v3"},
      {"Qwen/Qwen3-0.6B", "hermes"},
      {"CohereLabs/c4ai-command-a-03-2025", "command_r7b"},
      {"CohereLabs/command-a-reasoning-08-2025", "command_r7b"},
      {"ai21labs/AI21-Jamba-Large-1.6", "jamba"},
      {"HuggingFaceTB/SmolLM3-3B", "hermes"},
      {"moonshotai/Kimi-K2-Thinking", "kimi_k2"},
      {"LiquidAI/LFM2.5-VL-450M", "lfm2"},
      {"mistralai/Mixtral-8x7B-Instruct-v0.1", "plain"},
      {"HuggingFaceH4/zephyr-7b-beta (add_generation_prompt=true)", "plain"}};
  const Json cases = read_json(path);
  int passed = 0;
  for (const auto& each : cases) {
    const auto expected = formats.find(each["name"].get<std::string>());
    if (expected == formats.end()) continue;
    const auto& format =
        detect_message_format(each["chat_template"].get<std::string>());
    EXPECT_EQ(format.name, expected->second) << expected->first;
    passed += format.name == expected->second;
  }
  std::printf("e2e_cases.json: %d/%zu formats detected\n", passed,
              formats.size());
  EXPECT_EQ(passed, static_cast<int>(formats.size()));
}

TEST(MessageTemplates, FormatsAreDetected) {
  SKUA_ASSET_OR_SKIP(folder, "templates");
  std::map<std::string, std::string> formats;
  for (const auto& each : expected()) formats[each.file] = each.format;
  int passed = 0, total = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    ++total;
    const auto found = formats.find(entry.path().stem().string());
    ASSERT_NE(found, formats.end()) << entry.path();
    const auto& got = detect_message_format(test::read_text(entry.path()));
    EXPECT_EQ(got.name, found->second) << entry.path();
    passed += got.name == found->second;
  }
  const Json phi =
      read_json(folder / "configs/phi-4-mini/tokenizer_config.json");
  EXPECT_EQ(detect_message_format(phi["chat_template"].get<std::string>()).name,
            "phi4_mini");
  const Json qwen = read_json(folder / "configs/qwen2.5/tokenizer_config.json");
  EXPECT_EQ(
      detect_message_format(qwen["chat_template"].get<std::string>()).name,
      "hermes");
  const Json gemma =
      read_json(folder / "configs/gemma-3-chat/chat_template.json");
  EXPECT_EQ(
      detect_message_format(gemma["chat_template"].get<std::string>()).name,
      "gemma3");
  std::printf("templates/: %d/%d formats detected\n", passed, total);
  EXPECT_EQ(total, static_cast<int>(expected().size()));
}

TEST(MessageTemplates, PromptsSayWhetherReasoningHasBegun) {
  SKUA_ASSET_OR_SKIP(folder, "templates");
  for (const auto& each : expected()) {
    const ChatTemplate chat_template = read_template(folder, each.file);
    const auto prompt =
        render(chat_template,
               Json::array({{{"role", "user"}, {"content", "<think>"}}}), true);
    ASSERT_TRUE(prompt) << each.file;
    EXPECT_EQ(open_marker(message_format(each.format), *prompt), each.open)
        << each.file;
  }
}

}  // namespace
}  // namespace skua
