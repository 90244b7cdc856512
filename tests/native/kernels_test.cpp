// Every kernel of every instruction set that runs here, against plain loops in double.
#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

#include "check.hpp"
#include "isa.hpp"
#include "ops/cpu/convert.hpp"
#include "ops/cpu/packed_matrix.hpp"
#include "qwen3/error.hpp"

using namespace qwen3;
using namespace qwen3::cpu;
using qwen3::test::for_each_isa;

namespace {

std::vector<float> noise(size_t n, unsigned seed) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(n);
    for (float& v : values) v = normal(engine);
    return values;
}

TensorView view(const std::vector<float>& values, int64_t rows, int64_t columns) {
    return {.data = reinterpret_cast<const std::byte*>(values.data()), .dtype = DType::f32, .shape = {rows, columns}};
}

constexpr WeightType kWeightTypes[] = {WeightType::f32, WeightType::f16, WeightType::bf16, WeightType::int8,
                                       WeightType::int4};

void (*matmul_of(const Kernels& kernels, WeightType type))(const MatmulArgs&) {
    switch (type) {
        case WeightType::f32: return kernels.matmul_f32;
        case WeightType::f16: return kernels.matmul_f16;
        case WeightType::bf16: return kernels.matmul_bf16;
        case WeightType::int8: return kernels.matmul_int8;
        case WeightType::int4: return kernels.matmul_int4;
    }
    return nullptr;
}

// Rows as integer weights meet them, and what they then stand for.
struct Quantized {
    Quantized(const Kernels& kernels, const std::vector<float>& x, int64_t tokens, int64_t k)
        : columns(round_up(k, kBlock)),
          values(static_cast<size_t>(tokens * columns)),
          scales(values.size() / kGroup),
          sums(values.size() / kGroup) {
        for (int64_t t = 0; t < tokens; ++t) {
            const int64_t group = t * columns / kGroup;
            kernels.quantize_row(x.data() + t * k, k, values.data() + t * columns, scales.data() + group,
                                 sums.data() + group);
        }
    }

    QuantizedRows rows(int64_t first = 0) {
        const int64_t group = first * columns / kGroup;
        return {values.data() + first * columns, scales.data() + group, sums.data() + group, columns};
    }
    float at(int64_t t, int64_t k) const {
        const auto i = static_cast<size_t>(t * columns + k);
        return scales[i / kGroup] * static_cast<float>(values[i]);
    }

    int64_t columns;
    std::vector<int8_t> values;
    std::vector<float> scales;
    std::vector<int32_t> sums;
};

float largest(const float* x, int64_t n) {
    float most = 0.0F;
    for (int64_t i = 0; i < n; ++i) most = std::max(most, std::fabs(x[i]));
    return most;
}

}  // namespace

TEST("an instruction set that does not exist is named", {
    setenv("QWEN3_ISA", "mmx", 1);
    CHECK_THROWS(select_kernels(), ConfigError, "mmx");
    unsetenv("QWEN3_ISA");
});

TEST("half and bfloat16 conversions round to nearest even and keep what is not finite", {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {  // every value there and back
        const F16 h{static_cast<uint16_t>(bits)};
        const Bf16 b{static_cast<uint16_t>(bits)};
        if (std::isnan(to_f32(h)))
            CHECK(std::isnan(to_f32(to_f16(to_f32(h)))));
        else
            CHECK(to_f16(to_f32(h)).bits == h.bits);
        if (std::isnan(to_f32(b)))
            CHECK(std::isnan(to_f32(to_bf16(to_f32(b)))));
        else
            CHECK(to_bf16(to_f32(b)).bits == b.bits);
    }
    CHECK(to_f32(to_f16(1.0F + 0x1p-11F)) == 1.0F);                // a tie, to even
    CHECK(to_f32(to_f16(1.0F + 3 * 0x1p-11F)) == 1.0F + 0x1p-9F);  // a tie, up to even
    CHECK(std::isinf(to_f32(to_f16(65520.0F))) && to_f32(to_f16(65519.0F)) == 65504.0F);
    CHECK(to_f32(to_f16(0x1p-24F)) == 0x1p-24F && to_f32(to_f16(0x1p-26F)) == 0.0F);
    CHECK(to_f32(to_bf16(1.0F + 0x1p-8F)) == 1.0F);
});

TEST("matmul equals a double loop for all types, odd shapes and slices, with and without accumulation", {
    ThreadPool pool(2, SpinPolicy{0, 10});
    for_each_isa([&](const Kernels& kernels) {
        for (WeightType type : kWeightTypes)
            for (int64_t rows : {1, 16, 37, 80})
                for (int64_t k : {0, 1, 2, 33, 128, 200})
                    for (int64_t tokens : {1, 2, 3, 5, 7, 19}) {
                        const std::vector<float> source = noise(static_cast<size_t>((rows + 3) * (k + 5)), 1);
                        const PackedMatrix w(view(source, rows + 3, k + 5), {{3, rows + 3}, {2, k + 2}}, type, kernels,
                                             pool);
                        std::vector<float> x = noise(static_cast<size_t>(tokens * k), 2);
                        Quantized quantized(kernels, x, tokens, k);
                        if (is_integer(type))
                            for (int64_t i = 0; i < tokens * k; ++i)
                                x[static_cast<size_t>(i)] = quantized.at(i / k, i % k);
                        for (bool accumulate : {false, true}) {
                            std::vector<float> y = noise(static_cast<size_t>(tokens * rows), 3);
                            const std::vector<float> before = y;
                            matmul_of(kernels, type)({.x = x.data(),
                                                      .ldx = k,
                                                      .quantized = quantized.rows(),
                                                      .tokens = tokens,
                                                      .panels = w.panel(0),
                                                      .panel_bytes = w.panel_bytes(),
                                                      .panel_count = w.panels(),
                                                      .k = k,
                                                      .y = y.data(),
                                                      .ldy = rows,
                                                      .rows = rows,
                                                      .accumulate = accumulate});
                            for (int64_t t = 0; t < tokens; ++t)
                                for (int64_t r = 0; r < rows; ++r) {
                                    std::vector<float> row(static_cast<size_t>(k));
                                    w.read_row(r, row.data());
                                    double expected = accumulate ? before[static_cast<size_t>(t * rows + r)] : 0.0;
                                    double scale = std::fabs(expected);
                                    for (int64_t i = 0; i < k; ++i) {
                                        const double term =
                                            double{row[static_cast<size_t>(i)]} * x[static_cast<size_t>(t * k + i)];
                                        expected += term, scale += std::fabs(term);
                                    }
                                    CHECK(std::fabs(y[static_cast<size_t>(t * rows + r)] - expected) <= 2e-6 * scale);
                                }
                        }
                    }
    });
});

TEST("a token's product has the same bits in any batch and any share of the panels", {
    ThreadPool pool(1, SpinPolicy{0, 10});
    for_each_isa([&](const Kernels& kernels) {
        for (WeightType type : kWeightTypes) {
            const int64_t rows = 90, k = 129, tokens = 23;
            const std::vector<float> source = noise(static_cast<size_t>(rows * k), 4);
            const PackedMatrix w(view(source, rows, k), {{0, rows}, {0, k}}, type, kernels, pool);
            const std::vector<float> x = noise(static_cast<size_t>(tokens * k), 5);
            Quantized quantized(kernels, x, tokens, k);
            std::vector<float> together(static_cast<size_t>(tokens * rows)), alone = together;
            const auto matmul = matmul_of(kernels, type);
            MatmulArgs args{.x = x.data(),
                            .ldx = k,
                            .quantized = quantized.rows(),
                            .tokens = tokens,
                            .panels = w.panel(0),
                            .panel_bytes = w.panel_bytes(),
                            .panel_count = w.panels(),
                            .k = k,
                            .y = together.data(),
                            .ldy = rows,
                            .rows = rows,
                            .accumulate = false};
            matmul(args);
            for (int64_t t = 0; t < tokens; ++t)
                for (int64_t p = 0; p < w.panels(); ++p) {
                    args.x = x.data() + t * k, args.quantized = quantized.rows(t), args.tokens = 1;
                    args.panels = w.panel(p), args.panel_count = 1;
                    args.y = alone.data() + t * rows + p * kPanel, args.rows = std::min(kPanel, rows - p * kPanel);
                    matmul(args);
                }
            CHECK(alone == together);
        }
    });
});

TEST("activations are rounded to the nearest of 127 steps per group; what is not finite stays so", {
    for_each_isa([&](const Kernels& kernels) {
        const int64_t k = 100;  // the last group is partial, and there is one of zeros behind it
        std::vector<float> x = noise(k, 11);
        std::fill_n(x.begin() + 32, 32, 0.0F);
        const Quantized rounded(kernels, x, 1, k);
        for (int64_t i = 0; i < k; ++i) {
            const int64_t group = i / kGroup * kGroup;
            const float step = largest(x.data() + group, std::min(kGroup, k - group)) / 127.0F;
            CHECK(std::fabs(rounded.at(0, i) - x[static_cast<size_t>(i)]) <= 0.5001F * step);
        }
        for (int64_t i = k; i < rounded.columns; ++i) CHECK(rounded.values[static_cast<size_t>(i)] == 0);
        for (size_t g = 0; g < rounded.sums.size(); ++g) {
            int32_t sum = 0;
            for (size_t i = 0; i < kGroup; ++i) sum += rounded.values[g * kGroup + i];
            CHECK(rounded.sums[g] == sum);
        }
        for (float bad : {std::nanf(""), INFINITY, -INFINITY}) {
            x[70] = bad;
            CHECK(std::isnan(Quantized(kernels, x, 1, k).scales[2]));
        }
    });
});

TEST("int8 weights are rounded to half a step; int4 weights at least as well as by their largest", {
    ThreadPool pool(1, SpinPolicy{});
    for_each_isa([&](const Kernels& kernels) {
        const int64_t rows = 21, k = 100;
        std::vector<float> source = noise(static_cast<size_t>(rows * k), 12);
        for (int64_t i = 0; i < 32; ++i) source[static_cast<size_t>(i)] = 0.0F;            // a group of zeros,
        for (int64_t i = 0; i < k; ++i) source[static_cast<size_t>(k + i)] *= 1e-36F;      // a row that vanishes,
        for (int64_t i = 0; i < k; ++i) source[static_cast<size_t>(2 * k + i)] *= 1e+30F;  // and a huge one
        const Slice all{{0, rows}, {0, k}};
        const PackedMatrix int8(view(source, rows, k), all, WeightType::int8, kernels, pool);
        const PackedMatrix int4(view(source, rows, k), all, WeightType::int4, kernels, pool);
        std::vector<float> eight(k), four(k);
        double four_error = 0.0, plain_error = 0.0;
        for (int64_t r = 0; r < rows; ++r) {
            int8.read_row(r, eight.data());
            int4.read_row(r, four.data());
            for (int64_t group = 0; group < k; group += kGroup) {
                const float* w = source.data() + r * k + group;
                const int64_t n = std::min(kGroup, k - group);
                float extreme = 0.0F;
                for (int64_t i = 0; i < n; ++i) extreme = std::fabs(w[i]) > std::fabs(extreme) ? w[i] : extreme;
                for (int64_t i = 0; i < n; ++i) {
                    const auto at = static_cast<size_t>(group + i);
                    CHECK(std::fabs(eight[at] - w[i]) <= 0.505F * std::max(largest(w, n) / 127.0F, 1e-30F));
                    if (r == 1 || r == 2) continue;  // their squares leave f32
                    const float step = extreme / -8.0F;
                    const float plain = step != 0.0F ? step * std::min(7.0F, std::round(w[i] / step)) : 0.0F;
                    plain_error += (plain - w[i]) * (plain - w[i]), four_error += (four[at] - w[i]) * (four[at] - w[i]);
                }
            }
        }
        CHECK(four_error < 0.9 * plain_error);
    });
});

TEST("a weight that is not finite makes its group so, for integers too", {
    ThreadPool pool(1, SpinPolicy{});
    for_each_isa([&](const Kernels& kernels) {
        for (WeightType type : {WeightType::int8, WeightType::int4})
            for (float bad : {std::nanf(""), INFINITY, -INFINITY}) {
                std::vector<float> source = noise(64, 13);
                source[40] = bad;
                const PackedMatrix w(view(source, 1, 64), {{0, 1}, {0, 64}}, type, kernels, pool);
                std::vector<float> row(64);
                w.read_row(0, row.data());
                for (size_t i = 0; i < 64; ++i) CHECK(std::isnan(row[i]) == (i >= 32));
            }
    });
});

TEST("RMSNorm, head norm with RoPE and SiLU equal their definitions", {
    for_each_isa([&](const Kernels& kernels) {
        for (int64_t n : {2, 10, 24, 64, 130}) {
            const auto size = static_cast<size_t>(n);
            const std::vector<float> x = noise(size, 6), weight = noise(size, 7);
            double squares = 0;
            for (float v : x) squares += double{v} * v;
            const double scale = 1.0 / std::sqrt(squares / static_cast<double>(n) + 1e-6);

            std::vector<float> y(size);
            kernels.rms_norm(x.data(), weight.data(), 1e-6F, n, y.data());
            for (size_t i = 0; i < size; ++i) CHECK(std::fabs(y[i] - x[i] * scale * weight[i]) < 1e-5);

            const size_t half = size / 2;
            std::vector<float> cos(half), sin(half);
            for (size_t i = 0; i < half; ++i) cos[i] = std::cos(0.3F * i), sin[i] = std::sin(0.3F * i);
            std::vector<float> rotated = x;
            kernels.norm_rope(rotated.data(), weight.data(), 1e-6F, cos.data(), sin.data(), n, rotated.data());
            for (size_t i = 0; i < half; ++i) {
                const double a = x[i] * scale * weight[i], b = x[i + half] * scale * weight[i + half];
                CHECK(std::fabs(rotated[i] - (a * cos[i] - b * sin[i])) < 1e-5);
                CHECK(std::fabs(rotated[i + half] - (b * cos[i] + a * sin[i])) < 1e-5);
            }

            std::vector<float> gate = x;
            gate[0] = 100.0F, gate[1] = -100.0F;
            const std::vector<float> before = gate;
            kernels.silu_mul(gate.data(), weight.data(), n);
            for (size_t i = 0; i < size; ++i) {
                const double g = before[i];
                CHECK(std::fabs(gate[i] - g / (1.0 + std::exp(-g)) * weight[i]) <
                      2e-6 * (1.0 + std::fabs(g * weight[i])));
            }
        }
    });
});

TEST("a scaled row is added alike wherever a row is cut", {
    for_each_isa([](const Kernels& kernels) {
        const std::vector<float> x = noise(77, 1), y = noise(77, 2);
        std::vector<float> whole = y;
        kernels.add_scaled(x.data(), 0.37F, 77, whole.data());
        for (size_t i = 0; i < 77; ++i) CHECK(std::fabs(whole[i] - (y[i] + 0.37 * x[i])) < 1e-6);
        for (int64_t cut : {1, 16, 31, 76}) {
            std::vector<float> parts = y;
            kernels.add_scaled(x.data(), 0.37F, cut, parts.data());
            kernels.add_scaled(x.data() + cut, 0.37F, 77 - cut, parts.data() + cut);
            CHECK(parts == whole);
        }
    });
});

TEST("attention over pages equals softmax(q k) v, across page boundaries, for both KV types", {
    const std::vector<int64_t> queries = {3, 2};  // heads on each of two KV heads
    const int64_t heads = 5;
    for_each_isa([&](const Kernels& kernels) {
        for (bool half : {false, true})
            for (int64_t dh : {8, 24, 64})
                for (int64_t context : {1, 15, 64, 65, 200}) {
                    const int64_t element = half ? 2 : 4;
                    const int64_t pages = (context + 63) / 64, tokens = std::min<int64_t>(context, kQueryBlock);
                    const int64_t k_bytes = kPageTokens * dh * element;
                    const int64_t head_bytes = k_bytes + kPageTokens * round_up(dh, kPanel) * element;
                    std::vector<std::vector<char>> page(static_cast<size_t>(pages),
                                                        std::vector<char>(static_cast<size_t>(2 * head_bytes)));
                    std::vector<const char*> page_pointers;
                    for (const std::vector<char>& p : page) page_pointers.push_back(p.data());
                    const std::vector<float> keys = noise(static_cast<size_t>(2 * context * dh), 8);
                    const std::vector<float> values = noise(static_cast<size_t>(2 * context * dh), 9);
                    for (int64_t h = 0; h < 2; ++h)
                        for (int64_t t = 0; t < context; ++t) {
                            char* block = page[static_cast<size_t>(t / 64)].data() + h * head_bytes;
                            (half ? kernels.append_bf16 : kernels.append_f32)(keys.data() + (h * context + t) * dh,
                                                                              values.data() + (h * context + t) * dh,
                                                                              dh, {block, block + k_bytes, t % 64});
                        }

                    const int64_t ld = heads * dh;
                    const std::vector<float> q = noise(static_cast<size_t>(tokens * ld), 10);
                    std::vector<float> out(q.size());
                    std::vector<float> scratch(
                        static_cast<size_t>(attention_scratch(tokens * heads, tokens * queries[0], dh)));
                    const std::vector<AttentionHead> kv_heads = {
                        {q.data(), out.data(), queries[0], 0},
                        {q.data() + queries[0] * dh, out.data() + queries[0] * dh, queries[1], head_bytes}};
                    (half ? kernels.attention_bf16 : kernels.attention_f32)({.kv_heads = kv_heads.data(),
                                                                             .kv_head_count = 2,
                                                                             .ldq = ld,
                                                                             .ldout = ld,
                                                                             .tokens = tokens,
                                                                             .dh = dh,
                                                                             .first_position = context - tokens,
                                                                             .pages = page_pointers.data(),
                                                                             .v_offset = k_bytes,
                                                                             .scratch = scratch.data()});

                    auto stored = [&](float x) { return half ? to_f32(to_bf16(x)) : x; };
                    for (int64_t t = 0; t < tokens; ++t)
                        for (int64_t h = 0; h < heads; ++h) {
                            const int64_t first = h < queries[0] ? 0 : context;  // of this KV head's tokens
                            const float* query = q.data() + t * ld + h * dh;
                            const int64_t visible = context - tokens + t + 1;
                            std::vector<double> p(static_cast<size_t>(visible));
                            double total = 0;
                            for (int64_t s = 0; s < visible; ++s) {
                                double dot = 0;
                                for (int64_t i = 0; i < dh; ++i)
                                    dot += double{query[i]} * stored(keys[static_cast<size_t>((first + s) * dh + i)]);
                                total += p[static_cast<size_t>(s)] = std::exp(dot / std::sqrt(static_cast<double>(dh)));
                            }
                            for (int64_t i = 0; i < dh; ++i) {
                                double expected = 0;
                                for (int64_t s = 0; s < visible; ++s)
                                    expected += p[static_cast<size_t>(s)] / total *
                                                stored(values[static_cast<size_t>((first + s) * dh + i)]);
                                CHECK(std::fabs(out[static_cast<size_t>(t * ld + h * dh + i)] - expected) < 1e-5);
                            }
                        }
                }
    });
});

TEST_MAIN()
