#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/json.h"
#include "bench/generate.h"
#include "bench/grammar.h"
#include "bench/machine.h"
#include "bench/model.h"
#include "bench/sampler.h"
#include "bench/stops.h"
#include "bench/templates.h"
#include "bench/tokenize.h"
#include "skua/error.h"

namespace {

using namespace skua::bench;

void print_line(const skua::Json& json) {
  fmt::print("{}\n", skua::dump_json(json));
  std::fflush(stdout);
}

void add_machine(CLI::App& app, MachineOptions& options) {
  auto* command = app.add_subcommand(
      "machine", "What the machine is, what it reads and computes at most");
  command->add_flag("--quick", options.quick, "Rough, in a second or two");
  command->add_flag("--bandwidth", options.bandwidth_only,
                    "Just the read bandwidth of all threads");
  command->callback([&options] { print_line(describe_machine(options)); });
}

void add_tests(CLI::App& app) {
  auto* command = app.add_subcommand("tests", "The tests and their counts");
  command->callback([] {
    skua::Json json;
    for (const ModelTest& test : known_tests()) {
      json[test.name] = {{"prompt", test.n_prompt},
                         {"gen", test.n_generated},
                         {"depth", test.depth},
                         {"batch", test.batch},
                         {"reps", test.n_repetitions}};
    }
    print_line(json);
  });
}

void add_sampler(CLI::App& app) {
  auto* command = app.add_subcommand(
      "sampler", "Microseconds per token of each way to sample");
  command->callback([] { run_sampler_tests(print_line); });
}

void add_stops(CLI::App& app) {
  auto* command = app.add_subcommand(
      "stops", "Nanoseconds per character of looking for stop strings");
  command->callback([] { run_stop_tests(print_line); });
}

void add_grammar(CLI::App& app, std::string& path) {
  auto* command = app.add_subcommand(
      "grammar", "Time to compile grammars and to compute token masks");
  command->add_option("path", path, "A folder or a .gguf file")->required();
  command->callback([&path] { run_grammar_tests(path, print_line); });
}

struct GenerateArguments {
  std::string path, draft, only;
  int n_trials = 5;
};

void add_generate(CLI::App& app, GenerateArguments& arguments) {
  auto* command = app.add_subcommand(
      "generate", "Whole answers: ahead or in turn, batches, drafts");
  command->add_option("path", arguments.path, "A folder or a .gguf file")
      ->required();
  command->add_option("--draft", arguments.draft,
                      "A smaller model with the same tokens");
  command->add_option("--only", arguments.only,
                      "Tests whose names contain this");
  command->add_option("--trials", arguments.n_trials, "Of each way")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->callback([&arguments] {
    run_generate_tests(arguments.path, arguments.draft, arguments.only,
                       arguments.n_trials, print_line);
  });
}

struct TemplateArguments {
  std::string folder, cases;
};
void add_templates(CLI::App& app, TemplateArguments& arguments) {
  auto* command = app.add_subcommand(
      "templates", "Microseconds to parse and to render chat templates");
  command->add_option("folder", arguments.folder, "The templates")->required();
  command
      ->add_option("cases", arguments.cases,
                   "JSON file: {\"contexts\": {...}, \"cases\": [...]}")
      ->required();
  command->callback([&arguments] {
    run_template_tests(arguments.folder, arguments.cases, print_line);
  });
}

struct TokenizeArguments {
  std::string path, text;
  std::vector<std::string> paths;
};

void add_tokenize(CLI::App& app, TokenizeArguments& arguments) {
  auto* command = app.add_subcommand(
      "tokenize", "Milliseconds to load a tokenizer, to encode and to decode");
  command
      ->add_option("path", arguments.path,
                   "A folder, a tokenizer's file or a .gguf file")
      ->required();
  command->add_option("text", arguments.text, "A file of text, e.g. 1 MB")
      ->required();
  command->callback([&arguments] {
    run_tokenizer_tests(arguments.path, arguments.text, print_line);
  });
  auto* runs = app.add_subcommand(
      "runs", "Milliseconds to encode runs of one thing, 256 KB and 1 MB");
  runs->add_option("paths", arguments.paths, "Tokenizers, as above")
      ->required();
  runs->callback(
      [&arguments] { run_tokenizer_runs(arguments.paths, print_line); });
}

struct ModelArguments {
  std::string path;
  std::vector<std::string> names;
  ModelTest test;
  skua::LoadOptions load = {.precision = skua::Precision::kDefault};
};

void run_model(const ModelArguments& arguments) {
  std::vector<ModelTest> tests;
  for (const std::string& name : arguments.names)
    tests.push_back(find_test(name));
  if (tests.empty()) tests.push_back(arguments.test);
  run_model_tests(arguments.path, arguments.load, tests, print_line);
}

void add_model(CLI::App& app, ModelArguments& arguments) {
  auto* command = app.add_subcommand(
      "model", "Tokens per second of a model, one JSON object per line");
  command->add_option("path", arguments.path, "A folder or a .gguf file")
      ->required();
  command
      ->add_option("--test", arguments.names,
                   "Tests by name, e.g. decode,prefill_512; else one of the "
                   "counts below")
      ->delimiter(',');
  ModelTest& test = arguments.test;
  test.name = "custom";
  command->add_option("--prompt", test.n_prompt, "Tokens of a prompt to time");
  command->add_option("--gen", test.n_generated, "Steps to time instead");
  command->add_option("--depth", test.depth, "Tokens held before the steps");
  command->add_option("--batch", test.batch, "Sequences in each step");
  command->add_option("--reps", test.n_repetitions, "Repetitions");
  command
      ->add_option("--precision", *arguments.load.precision,
                   "exact, default or fast")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, skua::Precision>{
              {"exact", skua::Precision::kExact},
              {"default", skua::Precision::kDefault},
              {"fast", skua::Precision::kFast}}));
  command->callback([&arguments] { run_model(arguments); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures this machine and Skua on it");
  app.require_subcommand(1);
  std::string threads;
  // The pool's size is read from the environment when it is first asked for.
  app.add_option("--threads", threads, "Threads to use")
      ->each(
          [](const std::string& n) { setenv("SKUA_THREADS", n.c_str(), 1); });
  app.fallthrough();
  MachineOptions machine;
  ModelArguments model;
  GenerateArguments generate;
  std::string tokenizer;
  TokenizeArguments tokenize;
  TemplateArguments templates;
  add_machine(app, machine);
  add_model(app, model);
  add_generate(app, generate);
  add_grammar(app, tokenizer);
  add_tokenize(app, tokenize);
  add_templates(app, templates);
  add_tests(app);
  add_sampler(app);
  add_stops(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "skua_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
