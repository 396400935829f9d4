#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace skua::cli {

/** An option or argument that a command has, to ask more of it. */
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required();

  /** What --help shows in the place of its type and choices. */
  Option shown_as(const std::string& text);

  /** The heading that --help puts it under. */
  Option in_group(const std::string& name);

  /** Refuses it together with `other`, which the command already has. */
  Option excludes(const std::string& other);

 private:
  CLI::Option* option_;
};

/** A command of the program, over CLI11, whose slow header stays out of here.
 *  names  "-m,--model" of an option, "prompt" of an argument by its place
 *  value  is written as the command line is read, so it lives as long as the
 *         program's CLI::App
 *  help   its line in --help
 *  The reading throws CLI::ParseError, or InvalidInput where text is no number.
 */
class Command {
 public:
  /** Adds the command to the program. */
  Command(CLI::App& program, const std::string& name, const std::string& help);

  /** Adds a command to this one, which from then on needs one. */
  Command subcommand(const std::string& name, const std::string& help);

  Option text(const std::string& names, std::string& value,
              const std::string& help);

  /** One text or several, as several arguments or the option repeated. */
  Option texts(const std::string& names, std::vector<std::string>& values,
               const std::string& help);

  /** Number is int, double or std::uint64_t. All of the text must spell one;
   *  --help shows what `value` holds as the default. */
  template <class Number>
  Option number(const std::string& names, Number& value,
                const std::string& help);

  /** The same for a number that may be absent; --help shows `otherwise`. */
  Option number(const std::string& names, std::optional<int>& value,
                int otherwise, const std::string& help);

  /** Whole numbers, as "0,7" or as several arguments. */
  Option integers(const std::string& names, std::vector<int>& values,
                  const std::string& help);

  Option flag(const std::string& names, bool& value, const std::string& help);

  /** Calls `set` where the flag is given. */
  Option switch_to(const std::string& names, const std::string& help,
                   std::function<void()> set);

  /** Calls `take` with the text of each time that the option is given. */
  Option each(const std::string& names, const std::string& help,
              std::function<void(const std::string&)> take);

  /** One of the names in `choices`. Target takes a Value. */
  template <class Value, class Target>
  Option choice(const std::string& names, Target& value,
                const std::map<std::string, Value>& choices,
                const std::string& help) {
    std::vector<std::string> words;
    for (const auto& choice : choices) words.push_back(choice.first);
    return choose(
        names,
        [&value, choices](const std::string& word) {
          value = choices.at(word);
        },
        std::move(words), help);
  }

  /** The end of --help. */
  void footer(const std::string& text);

  /** Does `work` once the whole command line is read without an error. */
  void callback(std::function<void()> work);

 private:
  Option choose(const std::string& names,
                std::function<void(const std::string&)> set,
                std::vector<std::string> words, const std::string& help);

  CLI::App* app_;
};

/** A command's name and what may stand behind it: its options, and its own
 *  commands with theirs. */
struct CommandWords {
  std::string name;
  std::vector<std::string> words;
};

std::vector<CommandWords> command_words(const CLI::App& program);

}  // namespace skua::cli
