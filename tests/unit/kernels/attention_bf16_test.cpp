#include <gtest/gtest.h>

#include "kernels/attention.h"
#include "kernels/cpu/attention_amx.h"
#include "kernels/cpu/attention_bf16_tiles-inl.h"
#include "kernels/deterministic_scope.h"
#include "tests/unit/kernels/attention_steps.h"
#include "tests/unit/kernels/emulated_tiles.h"

namespace skua {
namespace {

using test::Heads;
using test::kTypes;
using test::kVariants;
using test::numbers;
using test::options_of;
using test::Step;
using test::Variant;
using Layout = KvCache::Layout;

// Root of the mean square of got - want, relative to that of want.
double distance(const std::vector<float>& got, const std::vector<float>& want) {
  double off = 0, all = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    off += std::pow(double{got[i]} - double{want[i]}, 2);
    all += std::pow(double{want[i]}, 2);
  }
  return std::isnan(off) ? INFINITY : std::sqrt(off / all);
}

// Weights of 8 bits are off by 2^-8 at most: in the mean by half of it.
constexpr double kWeightsAlone = 0.003;

class AttentionBf16 : public testing::Test {
 protected:
  void SetUp() override {
    if (!cpu::has_amx_attention()) GTEST_SKIP() << "the CPU has no tiles";
  }

  static std::vector<float> run(const Step& step, AttentionOptions o,
                                KvType type, Precision precision) {
    o.precision = precision;
    return step.run(o, type, Layout::kPages).out;
  }
};

TEST_F(AttentionBf16, StaysWithinItsBoundOfTheFloat64Result) {
  for (const Heads heads : {Heads{6, 2, 64, 64}, Heads{4, 1, 128, 40}}) {
    for (const float spread : {0.01f, 1.0f, 8.0f}) {
      const Step step(heads, {{0, 70, 300}, {0, 3, 0}, {0, 1, 555}}, spread);
      for (const Variant& variant : kVariants) {
        AttentionOptions o = options_of(variant, step);
        o.precision = Precision::kDefault;
        for (const KvType type : kTypes) {
          SCOPED_TRACE(variant.name);
          const auto got = step.run(o, type, Layout::kPages);
          EXPECT_LE(test::worst_by_oracle(step, o, got, test::bfloat16_bound),
                    1.0)
              << spread;
        }
      }
    }
  }
}

class AttentionBf16Heads : public AttentionBf16,
                           public testing::WithParamInterface<Heads> {};

TEST_P(AttentionBf16Heads, LosesNothingButTheLastBitsOfWeights) {
  for (const auto& segments : std::vector<std::vector<AttentionSegment>>{
           {{0, 19, 0}},
           {{0, 70, 250}},
           {{0, 40, 500}, {0, 3, 7}, {0, 33, 0}}}) {
    const Step step(GetParam(), segments);
    for (const Variant& variant : kVariants) {
      SCOPED_TRACE(variant.name);
      const auto o = options_of(variant, step);
      for (const KvType type : {KvType::kBf16, KvType::kInt8}) {
        const auto want = run(step, o, type, Precision::kExact);
        const auto got = run(step, o, type, Precision::kDefault);
        EXPECT_LE(distance(got, want), kWeightsAlone);
        // A window of one has one weight, which is 1.
        if (o.window != 1) {
          EXPECT_NE(got, want);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionBf16Heads,
    testing::Values(Heads{1, 1, 8, 8}, Heads{4, 1, 12, 12}, Heads{9, 3, 64, 64},
                    Heads{7, 1, 72, 80}, Heads{3, 3, 25, 17},
                    Heads{4, 2, 192, 128}, Heads{4, 2, 96, 96},
                    Heads{4, 1, 256, 256}),
    [](const auto& info) { return info.param.name(); });

TEST_F(AttentionBf16, LeavesFewRowsAndExactPrecisionsAlone) {
  const auto o = AttentionOptions{.scale = 0.2f};
  const auto is_rounded = [&](const Step& step, Precision precision) {
    return run(step, o, KvType::kBf16, precision) !=
           run(step, o, KvType::kBf16, Precision::kExact);
  };
  const Step many({4, 2, 32, 32}, {{0, 16, 100}});
  EXPECT_TRUE(is_rounded(many, Precision::kDefault));
  EXPECT_TRUE(is_rounded(many, Precision::kFast));
  EXPECT_FALSE(is_rounded(many, Precision::kDeterministic));
  const Step few({4, 2, 32, 32}, {{0, 15, 100}, {0, 1, 300}});
  EXPECT_FALSE(is_rounded(few, Precision::kDefault));
  EXPECT_EQ(run(many, o, KvType::kF32, Precision::kDefault),
            run(many, o, KvType::kF32, Precision::kExact));
  const DeterministicScope scope;
  EXPECT_FALSE(is_rounded(many, Precision::kDefault));
}

// However many rows there are beside it.
TEST_F(AttentionBf16, BitsOfARowDependOnNothingButThePrecision) {
  for (const Heads heads : {Heads{2, 2, 24, 40}, Heads{7, 1, 64, 64}}) {
    const Step whole(heads, {{0, 300, 0}});
    for (const KvType type : kTypes) {
      for (const Variant& variant : kVariants) {
        AttentionOptions o = options_of(variant, whole);
        o.precision = Precision::kDefault;
        if (!o.causal || o.mask) continue;
        const auto want = whole.run(o, type, Layout::kPages).out;
        const KvCache cache = whole.make_cache(type, Layout::kPages);
        std::vector<float> got;
        int at = 0;
        for (const int n : {16, 47, 131, 17, 89}) {
          const auto some = numbers(append_and_attend(
              test::rows(whole.q, at, n), test::rows(whole.k, at, n),
              test::rows(whole.v, at, n), {{0, n, at}}, {cache}, o));
          got.insert(got.end(), some.begin(), some.end());
          at += n;
        }
        ASSERT_EQ(at, 300);
        EXPECT_EQ(got, want) << variant.name;
      }
    }
  }
}

// With scores of tens, as models have them.
TEST_F(AttentionBf16, KeepsSixteenBitsOfQueries) {
  const Step step({4, 2, 64, 64}, {{0, 70, 250}});
  const AttentionOptions o = {.scale = 2};
  EXPECT_LE(distance(run(step, o, KvType::kBf16, Precision::kDefault),
                     run(step, o, KvType::kBf16, Precision::kExact)),
            kWeightsAlone);
}

// A later row's infinite value must not reach the rows before it, nor what an
// older sequence left in a page.
TEST_F(AttentionBf16, RowsDoNotSeeWhatFollowsThem) {
  const AttentionOptions prompt = {.precision = Precision::kDefault};
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kBf16}) {
      Step step({4, 2, 24, 24}, {{0, 40, 5}});
      const auto clean = step.run(prompt, type, Layout::kPages).out;
      const mx::array last = mx::full({1, 2, 24}, bad);
      step.v =
          mx::concatenate({mx::slice(step.v, {0, 0, 0}, {39, 2, 24}), last}, 0);
      auto got = step.run(prompt, type, Layout::kPages).out;
      for (std::size_t i = got.size() - 4 * 24; i < got.size(); ++i)
        ASSERT_FALSE(std::isfinite(got[i])) << i;
      got.resize(39 * 4 * 24);
      EXPECT_LE(distance(got, {clean.begin(), clean.begin() + 39 * 4 * 24}),
                1e-6);
    }
  }
}

TEST_F(AttentionBf16, ARowThatSeesNothingIsZero) {
  const Step step({4, 2, 8, 8}, {{0, 20, 3}});
  const AttentionOptions o = {.mask = mx::full({20, 23}, -INFINITY),
                              .precision = Precision::kDefault};
  for (const float x : step.run(o, KvType::kF32, Layout::kPages).out)
    EXPECT_EQ(x, 0.0f);
}

// A page of one head, and what rows of it see.
struct Page {
  Page(KvType type, std::size_t d, std::size_t n_rows)
      : shape{.kv = {type, 1, d, d}, .n_heads = 1},
        memory(shape.kv.page_bytes()),
        head(cpu::head_of(shape.kv, memory.data(), 0)) {
    // What is never written is no number.
    std::fill_n(memory.data(), memory.size(), std::byte{0xff});
    const int n = 200, width = static_cast<int>(d);
    const auto k = numbers(test::normal({n, width}, 1));
    const auto v = numbers(test::normal({n, width}, 2));
    cpu::write_rows(shape.kv, head, 0, 200, k.data(), d, v.data(), d);
    q = numbers(test::normal({static_cast<int>(n_rows), width}, 3));
    for (std::size_t r = 0; r < n_rows; ++r) {
      queries.push_back(&q[r * d]);
      rows.push_back({0, 512 + 199, 512 + r * 7 % 90, 512 + 120 + r % 81});
    }
    rows.back().end = 0;
  }

  // The mixed values of all rows.
  std::vector<float> outputs(const float* sums) const {
    const std::size_t stride = cpu::sums_stride(shape.kv);
    const std::size_t n_columns = shape.kv.n_strips() * cpu::kLane;
    std::vector<float> out;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const float* row = sums + r * stride;
      const float sum = row[n_columns + 1];
      for (std::size_t i = 0; i < shape.kv.value_dim; ++i)
        out.push_back(sum == 0 ? 0 : row[i] / sum);
    }
    return out;
  }

  cpu::AttentionShape shape;
  AlignedBuffer memory;
  cpu::KvHead head;
  std::vector<float> q;
  std::vector<const float*> queries;
  std::vector<cpu::TileRow> rows;
};

std::vector<float> in_float32(const Page& page) {
  std::vector<float> packed;
  cpu::pack_queries(page.queries, page.shape.kv.key_dim, 0.3f, packed);
  std::vector<float> sums(page.rows.size() * cpu::sums_stride(page.shape.kv));
  cpu::attend_chunk(page.shape, page.rows, packed.data(), page.head, 512, 0,
                    sums.data());
  return page.outputs(sums.data());
}

std::vector<float> in_emulated_tiles(const Page& page) {
  AlignedBuffer packed;
  cpu::pack_queries_bf16(page.queries, page.shape.kv, 0.3f, packed);
  const std::size_t stride = cpu::sums_stride(page.shape.kv);
  std::vector<float> sums(cpu::tile_rows(page.rows.size()) * stride);
  for (std::size_t r = 0; r < page.rows.size(); ++r)
    sums[r * stride + stride - cpu::kLane] = -INFINITY;
  cpu::AttentionTiles<test::EmulatedTiles>::attend(page.shape, page.rows,
                                                   packed.as<std::uint16_t>(),
                                                   page.head, 512, sums.data());
  return page.outputs(sums.data());
}

TEST(AttentionTiles, InAModelOfThemMixAsFloat32Does) {
  for (const KvType type : kTypes) {
    const bool plain = type == KvType::kBf16 || type == KvType::kInt8;
    for (const std::size_t d : {std::size_t{17}, std::size_t{64}}) {
      for (const std::size_t n : {2, 16, 17, 45, 64}) {
        const Page page(type, d, n);
        EXPECT_LE(distance(in_emulated_tiles(page), in_float32(page)),
                  plain ? kWeightsAlone : 0.01)
            << static_cast<int>(type) << ", " << d << ", " << n;
        EXPECT_TRUE(test::EmulatedTiles::released());
      }
    }
  }
}

TEST(AttentionTiles, InAModelOfThemHideInfiniteValues) {
  Page page(KvType::kBf16, 32, 40);
  const auto clean = in_emulated_tiles(page);
  const std::vector<float> bad(32, INFINITY);
  cpu::write_rows(page.shape.kv, page.head, 150, 1, bad.data(), 32, bad.data(),
                  32);
  const auto got = in_emulated_tiles(page);
  for (std::size_t r = 0; r < page.rows.size(); ++r) {
    const auto [begin, end] = page.rows[r].slots(512);
    const bool sees = begin <= 150 && 150 < end;
    for (std::size_t i = r * 32; i < (r + 1) * 32; ++i) {
      if (sees)
        ASSERT_FALSE(std::isfinite(got[i])) << r;
      else
        ASSERT_NEAR(got[i], clean[i], 1e-6) << r;
    }
  }
}

}  // namespace
}  // namespace skua
