#include "kernels/attention.h"

#include <gtest/gtest.h>

#include "kernels/cpu/attention.h"
#include "skua/error.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::normal;
using test::numbers;
using test::worst;

struct Heads {
  int n_heads, n_kv_heads, head_dim;
};

// A flat batch with caches that hold `position` random rows each.
struct Step {
  Step(Heads heads, std::vector<AttentionSegment> in, int spare, float spread)
      : segments(std::move(in)) {
    int t = 0;
    for (AttentionSegment& s : segments) {
      s.first_row = t;
      t += s.n_rows;
      const mx::Shape shape = {heads.n_kv_heads, s.position + s.n_rows + spare,
                               heads.head_dim};
      const auto seed = static_cast<std::uint64_t>(100 + t);
      caches.push_back({normal(shape, seed), normal(shape, seed + 50)});
    }
    q = normal({t, heads.n_heads, heads.head_dim}, 1, spread);
    k = normal({t, heads.n_kv_heads, heads.head_dim}, 2);
    v = normal({t, heads.n_kv_heads, heads.head_dim}, 3);
  }

  // The kernel writes into the caches it is given.
  std::vector<KeyValue> copies() const {
    std::vector<KeyValue> all;
    for (const KeyValue& c : caches) {
      const auto zero = mx::array(0.0f);
      all.push_back({mx::add(c.keys, zero), mx::add(c.values, zero)});
      mx::eval({all.back().keys, all.back().values});
    }
    return all;
  }

  Attended run(const AttentionOptions& o) const {
    return append_and_attend(q, k, v, segments, copies(), o);
  }
  Attended run_fallback(const AttentionOptions& o) const {
    return append_and_attend_fallback(q, k, v, segments, copies(), o);
  }

  std::vector<AttentionSegment> segments;
  std::vector<KeyValue> caches;
  mx::array q = mx::array(0), k = mx::array(0), v = mx::array(0);
};

void expect_equal(const Attended& got, const Attended& want,
                  double tolerance = 1e-5) {
  EXPECT_EQ(got.out.shape(), want.out.shape());
  EXPECT_LE(worst(numbers(got.out), numbers(want.out)), tolerance);
  ASSERT_EQ(got.caches.size(), want.caches.size());
  for (std::size_t i = 0; i < got.caches.size(); ++i) {
    EXPECT_EQ(numbers(got.caches[i].keys), numbers(want.caches[i].keys));
    EXPECT_EQ(numbers(got.caches[i].values), numbers(want.caches[i].values));
  }
}

// Rows and positions of the segments of each batch that is tried.
const std::vector<std::vector<AttentionSegment>> kBatches = {
    {{0, 1, 0}},
    {{0, 1, 40}},
    {{0, 19, 0}},
    {{0, 5, 33}},
    {{0, 7, 0}, {0, 1, 12}, {0, 3, 5}, {0, 1, 0}, {0, 17, 64}},
};

class AttentionHeads : public testing::TestWithParam<Heads> {};

TEST_P(AttentionHeads, EqualsItsFallback) {
  const float scale = 1 / std::sqrt(static_cast<float>(GetParam().head_dim));
  for (const auto& segments : kBatches) {
    for (const int spare : {0, 9}) {
      const Step step(GetParam(), segments, spare, 1);
      for (const int window : {0, 1, 2, 6, 13, 1000}) {
        SCOPED_TRACE(std::to_string(segments.size()) + " segments, window " +
                     std::to_string(window));
        const AttentionOptions o{scale, window};
        expect_equal(step.run(o), step.run_fallback(o));
      }
    }
  }
}

TEST_P(AttentionHeads, OnEveryInstructionSetEqualsItsFallback) {
  const Step step(GetParam(), kBatches.back(), 3, 1);
  const AttentionOptions o{0.3f, 6};
  const Attended want = step.run_fallback(o);
  mx::eval(want.out);
  test::on_every_target([&] { expect_equal(step.run(o), want); });
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionHeads,
                         testing::Values(Heads{1, 1, 8}, Heads{8, 4, 8},
                                         Heads{4, 1, 12}, Heads{6, 3, 64},
                                         Heads{9, 3, 64}, Heads{4, 2, 256}),
                         [](const auto& info) {
                           return "H" + std::to_string(info.param.n_heads) +
                                  "K" + std::to_string(info.param.n_kv_heads) +
                                  "d" + std::to_string(info.param.head_dim);
                         });

TEST(Attention, ExtremeScoresNeitherOverflowNorVanish) {
  for (const float spread : {1e-20f, 300.0f, 1e6f, 1e30f}) {
    const Step step({4, 2, 12}, kBatches.back(), 0, spread);
    const AttentionOptions o{1, 0};
    const auto got = numbers(step.run(o).out);
    for (const float x : got) ASSERT_TRUE(std::isfinite(x)) << spread;
    // Scores of 1e6 are known to 0.1: only near ties could differ.
    EXPECT_LE(worst(got, numbers(step.run_fallback(o).out)),
              spread == 1e6f ? 0.2 : 1e-4)
        << spread;
  }
}

TEST(Attention, ARowHasTheSameBitsAloneInChunksAndBesideOthers) {
  const Heads heads = {6, 3, 24};
  const Step whole(heads, {{0, 21, 0}}, 0, 1);
  const AttentionOptions o{0.2f, 9};
  const auto want = numbers(whole.run(o).out);
  const auto rows = [&](const mx::array& x, int first, int n) {
    return mx::slice(x, {first, 0, 0}, {first + n, x.shape(1), x.shape(2)});
  };
  std::vector<KeyValue> cache = whole.copies();
  std::vector<float> got;
  int at = 0;
  for (const int n : {1, 2, 7, 1, 10}) {
    const Attended part =
        append_and_attend(rows(whole.q, at, n), rows(whole.k, at, n),
                          rows(whole.v, at, n), {{0, n, at}}, cache, o);
    const auto some = numbers(part.out);
    got.insert(got.end(), some.begin(), some.end());
    cache = part.caches;
    at += n;
  }
  EXPECT_EQ(got, want);

  const Step other(heads, {{0, 4, 11}}, 0, 1);
  const auto join = [](const mx::array& a, const mx::array& b) {
    return mx::concatenate({a, b}, 0);
  };
  auto caches = other.copies();
  caches.push_back(whole.copies()[0]);
  const auto both =
      numbers(append_and_attend(join(other.q, whole.q), join(other.k, whole.k),
                                join(other.v, whole.v),
                                {{0, 4, 11}, {4, 21, 0}}, caches, o)
                  .out);
  EXPECT_TRUE(std::equal(want.rbegin(), want.rend(), both.rbegin()));
}

TEST(Attention, RowsBelowThePositionStayAndTheCacheIsWrittenInPlace) {
  const Step step({2, 1, 8}, {{0, 3, 5}}, 4, 1);
  const KeyValue old = step.copies()[0];
  const auto before = numbers(old.keys);
  Attended result =
      append_and_attend(step.q, step.k, step.v, step.segments, {old}, {});
  mx::eval({result.out, result.caches[0].keys});
  EXPECT_EQ(result.caches[0].keys.data<float>(), old.keys.data<float>());
  const auto after = numbers(result.caches[0].keys);
  const auto added = numbers(step.k);
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::size_t row = i / 8;
    EXPECT_EQ(after[i], row >= 5 && row < 8 ? added[i - 5 * 8] : before[i]);
  }
}

TEST(Attention, ReadsStridedQueriesAndKeys) {
  const Step step({4, 2, 8}, {{0, 6, 3}}, 0, 1);
  const auto strided = [](const mx::array& x) {
    const mx::array swapped = mx::contiguous(mx::transpose(x, {1, 0, 2}));
    return mx::transpose(swapped, {1, 0, 2});
  };
  const Attended got =
      append_and_attend(strided(step.q), strided(step.k), strided(step.v),
                        step.segments, step.copies(), {});
  EXPECT_EQ(numbers(got.out), numbers(step.run({}).out));
}

TEST(Attention, NamesWhatDoesNotFit) {
  const Step good({4, 2, 8}, {{0, 3, 5}, {0, 1, 0}}, 0, 1);
  const auto run = [](const Step& s) {
    return append_and_attend(s.q, s.k, s.v, s.segments, s.caches, {});
  };
  const auto broken = [&](const auto& change, const char* part) {
    Step s = good;
    change(s);
    SKUA_EXPECT_ERROR(run(s), InvalidInput, part);
    SKUA_EXPECT_ERROR(
        append_and_attend_fallback(s.q, s.k, s.v, s.segments, s.caches, {}),
        InvalidInput, part);
  };
  broken([](Step& s) { s.q = mx::zeros({4, 32}); }, "[attention] q");
  broken([](Step& s) { s.k = mx::zeros({4, 3, 8}); }, "[attention] k");
  broken([](Step& s) { s.k = mx::zeros({4, 2, 9}); }, "[attention] k");
  broken([](Step& s) { s.v = mx::zeros({3, 2, 8}); }, "[attention] v");
  broken([](Step& s) { s.v = mx::astype(s.v, mx::float16); }, "[attention] v");
  broken([](Step& s) { s.caches.pop_back(); }, "2 segments, got 1 caches");
  broken([](Step& s) { s.segments[0].position = 6; }, "no room");
  broken([](Step& s) { s.segments[0].position = -1; }, "no room");
  broken([](Step& s) { s.segments[1].n_rows = 0; }, "no room");
  broken([](Step& s) { s.segments[1].first_row = 2; }, "segment 1 starts");
  broken(
      [](Step& s) {
        s.segments.pop_back();
        s.caches.pop_back();
      },
      "rows do not match");
  broken(
      [](Step& s) {
        s.caches[0].keys = mx::astype(s.caches[0].keys, mx::float16);
      },
      "a cache is expected");
}

}  // namespace
}  // namespace skua
