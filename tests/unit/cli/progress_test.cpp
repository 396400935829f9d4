#include "cli/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>
#ifdef __APPLE__
#include <util.h>
#else
#include <pty.h>
#endif

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

namespace skua::cli {
namespace {

using namespace std::chrono_literals;

/** Puts a pseudo terminal in the place of stderr while it lives. */
class TerminalOnStderr {
 public:
  TerminalOnStderr() : saved_(dup(2)) {
    int slave = -1;
    if (openpty(&master_, &slave, nullptr, nullptr, nullptr) != 0) return;
    fcntl(master_, F_SETFL, O_NONBLOCK);
    dup2(slave, 2);
    close(slave);
  }
  ~TerminalOnStderr() {
    dup2(saved_, 2);
    close(saved_);
    if (master_ >= 0) close(master_);
  }
  TerminalOnStderr(const TerminalOnStderr&) = delete;
  TerminalOnStderr& operator=(const TerminalOnStderr&) = delete;

  bool works() const { return master_ >= 0; }

  std::string shown() {
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(master_, buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(n));
    return text;
  }

 private:
  int saved_, master_ = -1;
};

class ProgressTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    if (!terminal_.works()) GTEST_SKIP() << "no pseudo terminals here";
  }
  TerminalOnStderr terminal_;
};

TEST_F(ProgressTest, AppearsOnceLoadingHasTakenItsTime) {
  constexpr double kShowAfterS = 0.05;
  Progress slow("weights", {.show_after_s = kShowAfterS});
  std::this_thread::sleep_for(60ms);
  slow.update(5, 10);
  const std::string shown = terminal_.shown();
  EXPECT_NE(shown.find("weights"), std::string::npos) << shown;
  EXPECT_NE(shown.find("50%"), std::string::npos) << shown;
}

TEST_F(ProgressTest, StaysAwayFromWhatIsQuick) {
  {
    constexpr double kAnHourS = 3600;
    Progress quick("weights", {.show_after_s = kAnHourS});
    quick.update(5, 10);
    quick.update(10, 10);
    quick.finish();
  }
  EXPECT_EQ(terminal_.shown(), "");
}

TEST_F(ProgressTest, QuietShowsNothing) {
  {
    Progress quiet("weights", {.quiet = true});
    quiet.update(5, 10);
    quiet.finish();
  }
  EXPECT_EQ(terminal_.shown(), "");
}

TEST_F(ProgressTest, LeavesTheCursorOnAFreshLine) {
  {
    Progress("weights", {}).update(5, 10);
  }
  EXPECT_TRUE(terminal_.shown().ends_with("\n"));
}

TEST_F(ProgressTest, NoColorLeavesColourOut) {
  const auto bar = [this] {
    Progress("weights", {}).update(5, 10);
    return terminal_.shown();
  };
  EXPECT_NE(bar().find("\x1b[32m"), std::string::npos);
  setenv("NO_COLOR", "1", 1);
  EXPECT_EQ(bar().find("\x1b[32m"), std::string::npos);
}

TEST(FormatBytes, HasThreeDigitsAndDecimalUnits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.00 kB");
  EXPECT_EQ(format_bytes(66'400'000), "66.4 MB");
  EXPECT_EQ(format_bytes(999'600'000), "1.00 GB");
}

}  // namespace
}  // namespace skua::cli
