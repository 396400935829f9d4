#include "cli/command.h"

#include <CLI/CLI.hpp>

#include "cli/number.h"

namespace skua::cli {
namespace {

void add_words(const CLI::App& command, std::vector<std::string>& words) {
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames())
      words.push_back("--" + name);
    for (const std::string& name : option->get_snames())
      words.push_back("-" + name);
  }
  for (const CLI::App* inner : command.get_subcommands({})) {
    words.push_back(inner->get_name());
    add_words(*inner, words);
  }
}

}  // namespace

Option Option::required() {
  option_->required();
  return *this;
}

Option Option::shown_as(const std::string& text) {
  option_->option_text(text);
  return *this;
}

Option Option::in_group(const std::string& name) {
  option_->group(name);
  return *this;
}

Option Option::excludes(const std::string& other) {
  option_->excludes(other);
  return *this;
}

Command::Command(CLI::App& program, const std::string& name,
                 const std::string& help)
    : app_(program.add_subcommand(name, help)) {}

Command Command::subcommand(const std::string& name, const std::string& help) {
  app_->require_subcommand(1);
  return Command(*app_, name, help);
}

Option Command::text(const std::string& names, std::string& value,
                     const std::string& help) {
  return Option(app_->add_option(names, value, help));
}

// CLI11 itself takes nothing for 0, wraps -1 and cuts what is too large.
template <class Number>
Option Command::number(const std::string& names, Number& value,
                       const std::string& help) {
  const std::string name = names.substr(names.rfind(',') + 1);
  return Option(app_->add_option_function<std::string>(
                        names,
                        [&value, name](const std::string& text) {
                          value = parse_number<Number>(name, text);
                        },
                        help)
                    ->type_name("NUMBER")
                    ->default_str(CLI::detail::to_string(value)));
}

template Option Command::number(const std::string&, int&, const std::string&);
template Option Command::number(const std::string&, double&,
                                const std::string&);
template Option Command::number(const std::string&, std::uint64_t&,
                                const std::string&);

Option Command::number(const std::string& names, std::optional<int>& value,
                       int otherwise, const std::string& help) {
  return Option(app_->add_option_function<std::string>(
                        names,
                        [&value, names](const std::string& text) {
                          value = parse_number<int>(names, text);
                        },
                        help)
                    ->type_name("NUMBER")
                    ->default_str(std::to_string(otherwise)));
}

Option Command::integers(const std::string& names, std::vector<int>& values,
                         const std::string& help) {
  return Option(app_->add_option(names, values, help)->delimiter(','));
}

Option Command::texts(const std::string& names,
                      std::vector<std::string>& values,
                      const std::string& help) {
  return Option(app_->add_option(names, values, help));
}

Option Command::flag(const std::string& names, bool& value,
                     const std::string& help) {
  return Option(app_->add_flag(names, value, help));
}

Option Command::switch_to(const std::string& names, const std::string& help,
                          std::function<void()> set) {
  return Option(app_->add_flag_callback(names, std::move(set), help));
}

Option Command::each(const std::string& names, const std::string& help,
                     std::function<void(const std::string&)> take) {
  return Option(app_->add_option_function<std::vector<std::string>>(
                        names,
                        [take](const std::vector<std::string>& texts) {
                          for (const std::string& text : texts) take(text);
                        },
                        help)
                    ->expected(1)
                    ->allow_extra_args(false)
                    ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll));
}

Option Command::choose(const std::string& names,
                       std::function<void(const std::string&)> set,
                       std::vector<std::string> words,
                       const std::string& help) {
  return Option(app_->add_option_function<std::string>(names, set, help)
                    ->check(CLI::IsMember(std::move(words))));
}

void Command::footer(const std::string& text) {
  app_->footer(text);
}

void Command::callback(std::function<void()> work) {
  app_->callback(std::move(work));
}

std::vector<CommandWords> command_words(const CLI::App& program) {
  std::vector<CommandWords> commands;
  for (const CLI::App* command : program.get_subcommands({})) {
    commands.push_back({command->get_name(), {}});
    add_words(*command, commands.back().words);
  }
  return commands;
}

}  // namespace skua::cli
