#include "cli/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cwchar>
#include <iostream>

#include "cli/interrupt.h"

namespace skua::cli {
namespace {

// Looks for a signal now and then: one that comes just before a read that
// blocks would not end it.
bool wait_for_input() {
  constexpr int kLookEveryMs = 200;
  pollfd input{0, POLLIN, 0};
  while (!terminated())
    if (poll(&input, 1, kLookEveryMs) > 0) return true;
  return false;
}

// The editor's source of keys: 1 and a character, or 0 at the end.
int read_key(EditLine*, wchar_t* key) {
  std::mbstate_t state{};
  while (wait_for_input()) {
    char byte = 0;
    const ssize_t n = ::read(0, &byte, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    const std::size_t result = std::mbrtowc(key, &byte, 1, &state);
    if (result == static_cast<std::size_t>(-2)) continue;
    if (result == static_cast<std::size_t>(-1)) *key = L'\xfffd';
    return 1;
  }
  return 0;
}

}  // namespace

struct LineEditor::State {
  std::string prompt;
  EditLine* editor = nullptr;
  History* history = nullptr;

  ~State() {
    if (editor != nullptr) el_end(editor);
    if (history != nullptr) history_end(history);
  }
};

LineEditor::LineEditor(std::string prompt) : state_(std::make_unique<State>()) {
  state_->prompt = std::move(prompt);
  if (isatty(0) == 0 || isatty(1) == 0) return;
  std::setlocale(LC_CTYPE, "");
  if (nl_langinfo(CODESET) != std::string("UTF-8"))
    std::setlocale(LC_CTYPE, "C.UTF-8");
  state_->history = history_init();
  HistEvent event;
  history(state_->history, &event, H_SETSIZE, 1000);
  state_->editor = el_init("skua", stdin, stdout, stderr);
  EditLine* editor = state_->editor;
  el_set(editor, EL_CLIENTDATA, state_.get());
  el_set(
      editor, EL_PROMPT, +[](EditLine* e) {
        void* data = nullptr;
        el_get(e, EL_CLIENTDATA, &data);
        return static_cast<State*>(data)->prompt.data();
      });
  el_set(editor, EL_EDITOR, "emacs");
  el_set(editor, EL_GETCFN, read_key);
  el_set(editor, EL_HIST, history, state_->history);
  // While a line is edited, Ctrl-C is a key and not a signal.
  el_set(editor, EL_SETTY, "-d", "-isig", nullptr);
  el_set(editor, EL_BIND, "^C", "em-kill-line", nullptr);
}

LineEditor::~LineEditor() = default;

std::optional<std::string> LineEditor::read() {
  std::string line;
  if (state_->editor == nullptr) {
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }
  // el_gets itself shows the prompt before it takes the keys.
  el_set(state_->editor, EL_PREP_TERM, 1);
  int n = 0;
  const char* text = el_gets(state_->editor, &n);
  if (text == nullptr || n <= 0) return std::nullopt;
  line.assign(text, static_cast<std::size_t>(n));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  if (!line.empty()) {
    HistEvent event;
    history(state_->history, &event, H_ENTER, line.c_str());
  }
  return line;
}

}  // namespace skua::cli
