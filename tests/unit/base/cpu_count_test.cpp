#include "base/cpu_count.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "skua/error.h"

namespace skua {
namespace {

namespace fs = std::filesystem;

class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("skua-cgroup-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const fs::path& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  double limit() const {
    return cgroup_cpu_limit(folder_ / "membership", folder_ / "root");
  }

  fs::path folder_;
};

// File formats: Linux's Documentation/admin-guide/cgroup-v2.rst and
// scheduler/sched-bwc.rst.
TEST_F(CgroupTest, ReadsTheQuotaOfVersion2) {
  write("membership", "0::/\n");
  write("root/cpu.max", "150000 100000\n");
  EXPECT_DOUBLE_EQ(limit(), 1.5);
  write("root/cpu.max", "max 100000\n");
  EXPECT_EQ(limit(), 0);
}

TEST_F(CgroupTest, TakesTheSmallestLimitUpToTheRoot) {
  write("membership", "0::/jobs/one\n");
  write("root/jobs/cpu.max", "200000 100000\n");
  write("root/jobs/one/cpu.max", "400000 100000\n");
  EXPECT_DOUBLE_EQ(limit(), 2);
  write("root/jobs/one/cpu.max", "50000 100000\n");
  EXPECT_DOUBLE_EQ(limit(), 0.5);
}

TEST_F(CgroupTest, ReadsTheQuotaOfVersion1) {
  write("membership", "5:memory:/other\n4:cpu,cpuacct:/box\n0::/\n");
  write("root/box/cpu.cfs_quota_us", "300000\n");
  write("root/box/cpu.cfs_period_us", "100000\n");
  EXPECT_DOUBLE_EQ(limit(), 3);
  write("root/box/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(limit(), 0);
}

TEST_F(CgroupTest, HasNoLimitWithoutFilesAndOutsideItsRoot) {
  EXPECT_EQ(limit(), 0);
  write("membership", "0::/../outside\n");
  write("outside/cpu.max", "100000 100000\n");
  EXPECT_EQ(limit(), 0);
}

class ThreadChoiceTest : public testing::Test {
 protected:
  void TearDown() override { unsetenv("SKUA_THREADS"); }
};

TEST_F(ThreadChoiceTest, FollowsTheEnvironment) {
  setenv("SKUA_THREADS", "3", 1);
  EXPECT_EQ(choose_thread_count().n, 3);
  EXPECT_EQ(choose_thread_count().source, "SKUA_THREADS");
  for (const char* bad : {"0", "-1", "two", "2 ", "1025"}) {
    setenv("SKUA_THREADS", bad, 1);
    EXPECT_THROW(choose_thread_count(), InvalidInput) << bad;
  }
}

TEST_F(ThreadChoiceTest, IsOneToTheMachinesOtherwise) {
  const ThreadChoice choice = choose_thread_count();
  EXPECT_GE(choice.n, 1);
  EXPECT_TRUE(choice.source == "affinity" || choice.source == "cgroup quota");
}

}  // namespace
}  // namespace skua
