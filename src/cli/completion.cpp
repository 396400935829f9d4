#include <fmt/format.h>

#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/commands.h"

namespace skua::cli {
namespace {

std::string bash_script(const CLI::App& app) {
  std::string names, cases;
  for (const auto& [name, words] : command_words(app)) {
    names += (names.empty() ? "" : " ") + name;
    cases +=
        fmt::format("    {}) words=\"{}\" ;;\n", name, fmt::join(words, " "));
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
  Command command(app, "completion", "Print a shell's completion script");
  command
      .choice<std::string>("shell", *shell, {{"bash", "bash"}, {"zsh", "zsh"}},
                           "bash or zsh")
      .required();
  command.footer(
      "Examples:\n"
      "  eval \"$(skua completion bash)\"   # in ~/.bashrc\n"
      "  eval \"$(skua completion zsh)\"    # in ~/.zshrc");
  command.callback([shell, &app] {
    if (*shell == "zsh")
      fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
    fmt::print("{}", bash_script(app));
  });
}

}  // namespace skua::cli
