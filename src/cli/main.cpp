#include <fcntl.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <string>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "skua/error.h"

namespace {

using namespace skua::cli;

constexpr int kFailed = 1, kBadInput = 2, kUnsupported = 3, kInterrupted = 130;

constexpr std::array kCommands = {
    add_run,   add_chat,     add_batch,     add_pull,  add_list,
    add_show,  add_tokenize, add_template,  add_probe, add_perplexity,
    add_score, add_explain,  add_completion};

// One line, whatever a file or server put into the text.
void report(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; },
      ' ');
  std::fprintf(stderr, "skua: %s\n", text.c_str());
}

// A file opened in the place of a closed stream would receive its text. These
// stand-ins refuse what the stream is for.
void hold_standard_streams() {
  for (const int fd : {0, 1, 2}) {
    if (fcntl(fd, F_GETFD) < 0)
      open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  }
}

int run(int argc, char** argv) {
  CLI::App app("Runs language models on MLX.", "skua");
  app.set_version_flag("--version", "skua " SKUA_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  skua run \"Why is the sky blue?\"\n"
      "  skua chat --model HuggingFaceTB/SmolLM2-135M-Instruct\n"
      "  skua batch prompts.jsonl answers.jsonl\n"
      "  skua show model.gguf\n"
      "'skua COMMAND --help' shows the options and examples of a command.\n"
      "Exit codes: 0 done, 1 failed, 2 bad usage or input, 3 unsupported, "
      "130 interrupted.");
  for (const auto add : kCommands) add(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    report(std::string("[usage] ") + error.what() + "; see skua --help");
    return kBadInput;
  }
  if (std::fflush(stdout) != 0)
    throw skua::Error(
        "stdout", std::string("cannot be written: ") + std::strerror(errno));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_streams();
  catch_interrupts();
  signal(SIGXFSZ, SIG_IGN);  // writes past a limit report EFBIG instead
  int code = kFailed;
  try {
    return run(argc, argv);
  } catch (const skua::InvalidInput& error) {
    report(error.what());
    code = kBadInput;
  } catch (const skua::NotFound& error) {
    report(error.what());
    code = kBadInput;
  } catch (const skua::Unsupported& error) {
    report(error.what());
    code = kUnsupported;
  } catch (const std::filesystem::filesystem_error& error) {
    report("[" + error.path1().string() + "] " + error.code().message());
  } catch (const std::bad_alloc&) {
    report("[memory] there is not enough for this model, prompt and context");
  } catch (const std::exception& error) {
    report(error.what());
  }
  return interrupted() ? kInterrupted : code;
}
