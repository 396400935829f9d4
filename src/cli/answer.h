#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "cli/command.h"
#include "models/profile.h"
#include "skua/skua.h"

namespace skua::cli {

/** The options that every command that generates has. */
struct AnswerOptions {
  std::string model;
  std::string system;
  Profile profile;  // what of it is given
  std::string draft;
  bool mtp = false;
  bool oracle = false;
  bool warmup = false;
  bool quiet = false;
  Json generation;  // the GenerationOptions of the command line
};

/** Adds --model; every command that takes a model spells it alike. */
void add_model_option(Command& command, std::string& model);

/** Adds what goes over a model's skua.toml, but for the chunk of a prompt,
 *  which is among the options of generation. */
void add_profile_options(Command& command, Profile& profile);

void add_answer_options(Command& command, AnswerOptions& options);

/** `given`, an object as read_options() takes it, over what the model says;
 *  max_tokens is at least 1024 where it is not given, and fits the context.
 *  Throws InvalidInput that lists all that is wrong. */
GenerationOptions generation_options(const Json& given, const Model& model);

/** Throws InvalidInput for options that no model takes. */
void check_given(const AnswerOptions& options);

/** The prompt, without line breaks at its end unless it is raw text.
 *  Throws InvalidInput where nothing is left. */
std::string checked_prompt(std::string prompt, bool raw);

/** Loads the model, once the options are seen to hold; progress shows on
 *  stderr when loading takes longer than a second. */
Model load_with_progress(const AnswerOptions& options);

/** Takes the model's first steps where --warmup asks for that, and says on
 *  stderr how many seconds it took; returns them. */
std::optional<double> warm_up(const Model& model, const AnswerOptions& options);

/** Cancels the stream at Ctrl-C, also while it reads a long prompt, for as
 *  long as the returned thread object lives. */
std::jthread cancel_at_interrupt(Stream& stream);

/** The same options, which show on a terminal's stderr how much of a prompt is
 *  read where that takes longer than a second. */
GenerationOptions with_prompt_progress(GenerationOptions options, bool quiet);

/** Prints the stream's text as it comes, until it ends or Ctrl-C.
 *  Returns the text. Throws Error if stdout cannot be written. */
std::string print_stream(Stream& stream);

/** One line on stderr: what was read and generated, how fast, memory, the
 *  text that stopped it, and the seed where one was drawn. */
void print_stats(const GenerationStats& stats,
                 const GenerationOptions& options);

/** All of stdin, at most 64 MiB. Throws InvalidInput. */
std::string read_stdin();

/** Token ids from a JSON list. Throws InvalidInput naming `where`. */
std::vector<std::int32_t> parse_ids(const std::string& text,
                                    const std::string& where);

/** The argument, or stdin where it is "-", or empty and stdin no terminal.
 *  Throws InvalidInput where there is neither; `what` names it. */
std::string argument_or_stdin(const std::string& argument,
                              const std::string& what);

}  // namespace skua::cli
