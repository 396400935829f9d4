#include <fmt/format.h>

#include <memory>

#include "base/json.h"
#include "base/model_path.h"
#include "cli/answer.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/pull.h"
#include "text/tokenizer.h"

namespace skua::cli {
namespace {

struct Arguments {
  std::string text, model;
  bool json = false, no_special = false, decode = false;
};

// A tokenizer needs no model around it.
bool is_tokenizer_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return path.extension() != ".gguf" &&
         std::filesystem::is_regular_file(path, ignored);
}

std::shared_ptr<const Tokenizer> tokenizer_of(const std::string& model) {
  if (is_tokenizer_file(model)) return load_tokenizer_file(model);
  const auto path = resolve_model(model, pull_options(false));
  return std::filesystem::is_directory(path) ? load_tokenizer(path)
                                             : load_tokenizer(GgufFile(path));
}

void run(const Arguments& arguments) {
  const std::string text = argument_or_stdin(arguments.text, "text");
  const auto tokenizer = tokenizer_of(arguments.model);
  if (arguments.decode) {
    const auto ids = parse_ids(text, "ids");
    for (const std::int32_t id : ids) {
      if (id >= tokenizer->size()) {
        throw InvalidInput("ids", "one is " + std::to_string(id) +
                                      ", expected 0 to " +
                                      std::to_string(tokenizer->size() - 1));
      }
    }
    const std::string decoded = tokenizer->decode(ids);
    fmt::print("{}\n",
               arguments.json ? dump_json(Json{{"text", decoded}}) : decoded);
    return;
  }
  const Encoding encoding = tokenizer->encode_with_offsets(
      text, {.add_special = !arguments.no_special, .limit = false});
  if (!arguments.json) {
    for (const std::int32_t id : encoding.ids)
      fmt::print("{:>7}  {}\n", id, dump_json(tokenizer->piece(id)));
    return;
  }
  Json pieces = Json::array(), offsets = Json::array();
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    pieces.push_back(tokenizer->piece(encoding.ids[i]));
    offsets.push_back({encoding.offsets[i].begin, encoding.offsets[i].end});
  }
  fmt::print("{}\n", dump_json(Json{{"ids", encoding.ids},
                                    {"pieces", pieces},
                                    {"offsets", offsets}}));
}

}  // namespace

void add_tokenize(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  Command command(app, "tokenize", "Show the tokens of a text");
  command.text("text", arguments->text, "The text; '-' or nothing reads stdin");
  add_model_option(command, arguments->model);
  command.flag("--no-special", arguments->no_special,
               "Do not add tokens such as BOS around the text");
  command.flag("--decode", arguments->decode,
               "The text is a JSON list of ids; print what they say");
  command.flag(
      "--json", arguments->json,
      "Print {\"ids\": [...], \"pieces\": [...], \"offsets\": [[begin, "
      "end], ...]}, offsets in bytes");
  command.footer(
      "Examples:\n"
      "  skua tokenize \"Hello world\"\n"
      "  skua tokenize --json - < file.txt\n"
      "  skua tokenize --model tokenizer.json \"Hello world\"\n"
      "  skua tokenize --decode \"[19556, 905]\"");
  command.callback([arguments] { run(*arguments); });
}

}  // namespace skua::cli
