#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "skua/error.h"

namespace skua::cli {
namespace {

// "--model -m ..." of a command, with what its own commands have.
std::string option_words(const CLI::App& command) {
  std::string words;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) words += " --" + name;
    for (const std::string& name : option->get_snames()) words += " -" + name;
  }
  for (const CLI::App* inner : command.get_subcommands({}))
    words += " " + inner->get_name() + " " + option_words(*inner);
  return words.empty() ? words : words.substr(1);
}

std::string bash_script(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* command : app.get_subcommands({})) {
    names += (names.empty() ? "" : " ") + command->get_name();
    cases += fmt::format("    {}) words=\"{}\" ;;\n", command->get_name(),
                         option_words(*command));
  }
  return fmt::format(
      "_skua() {{\n"
      "  local words current=\"${{COMP_WORDS[COMP_CWORD]}}\"\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    words=\"{} --help --version\"\n"
      "  else case \"${{COMP_WORDS[1]}}\" in\n"
      "{}"
      "  esac; fi\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "  [[ \"$current\" == -* ]] || COMPREPLY+=($(compgen -f -- "
      "\"$current\"))\n"
      "}}\n"
      "complete -o filenames -F _skua skua\n",
      names, cases);
}

}  // namespace

void add_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  auto* command =
      app.add_subcommand("completion", "Print a shell's completion script");
  command->add_option("shell", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  command->footer(
      "Examples:\n"
      "  eval \"$(skua completion bash)\"   # in ~/.bashrc\n"
      "  eval \"$(skua completion zsh)\"    # in ~/.zshrc");
  command->callback([shell, &app] {
    if (*shell == "zsh")
      fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
    fmt::print("{}", bash_script(app));
  });
}

}  // namespace skua::cli
