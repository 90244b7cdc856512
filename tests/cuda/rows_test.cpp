// What works row by row: the embedding, and what stands around a library's GEMM.
#include <thread>

#include "ragged_batch.hpp"

using namespace qwen3::cuda;
using namespace qwen3::cuda::test;

namespace {

constexpr float kEpsilon = 1e-5F;

// f32 values of bf16 results; the marker where nothing was written.
std::vector<float> widened(const DeviceArray<Bf16>& values) {
    std::vector<float> result;
    for (Bf16 v : values.read()) result.push_back(v.bits == 0xc641 ? kUntouched : widen(v));
    return result;
}
DeviceArray<Bf16> bf16_output(int64_t values) { return {static_cast<size_t>(values), Bf16{0xc641}}; }

constexpr double kHalfUlp = 1.0 / 256;  // of a bf16, relative to the value

std::vector<int64_t> columns() {
    return kSmall ? std::vector<int64_t>{5, 300} : std::vector<int64_t>{1, 5, 64, 255, 256, 257, 1030};
}

std::vector<double> normed_rows(const std::vector<float>& x, const std::vector<float>& weight,
                                const std::vector<int32_t>& rows, int64_t room) {
    const auto n = static_cast<int64_t>(weight.size());
    std::vector<double> want(static_cast<size_t>(room * n), kUntouched);
    for (size_t r = 0; r < rows.size(); ++r) {
        const float* row = x.data() + rows[r] * n;
        double squares = 0.0;
        for (int64_t i = 0; i < n; ++i) squares += static_cast<double>(row[i]) * row[i];
        const double scale = 1.0 / std::sqrt(squares / static_cast<double>(n) + kEpsilon);
        for (int64_t i = 0; i < n; ++i)
            want[r * weight.size() + static_cast<size_t>(i)] = row[i] * scale * weight[static_cast<size_t>(i)];
    }
    return want;
}

}  // namespace

TEST("embed: the owner's rows, zeros elsewhere", {
    constexpr int32_t kVocab = 100;
    for (const int64_t d : columns()) {
        Noise noise(3);
        const std::vector<Bf16> table = noise.bf16(static_cast<size_t>(kVocab * d));
        const RaggedBatch batch({{4, 3}, {0, 1}, {2, 9}}, {.spare_rows = 3, .vocab = kVocab});
        for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 100}, {16, 32}, {100, 0}}) {
            const DeviceArray<Bf16> shard(
                std::vector<Bf16>(table.begin() + first * d, table.begin() + (first + count) * d));
            const DeviceArray<float> hidden(static_cast<size_t>(batch.bucket().rows * d), kUntouched);
            check_launched(embed(batch.step(), {shard.data(), count, d}, first, hidden.data()), "embed");
            std::vector<double> want(hidden.size(), kUntouched);
            for (int64_t r = 0; r < batch.rows(); ++r) {
                const int64_t token = batch.tokens()[static_cast<size_t>(r)];
                const bool mine = token >= first && token < first + count;
                for (int64_t i = 0; i < d; ++i)
                    want[static_cast<size_t>(r * d + i)] = mine ? widen(table[static_cast<size_t>(token * d + i)]) : 0;
            }
            check_close(hidden.read(), want, 0.0, "embed");
        }
    }
});

TEST("rms_norm of all rows and of the wanted ones", {
    for (const int64_t n : columns()) {
        Noise noise(4);
        const std::vector<float> x = noise.floats(static_cast<size_t>(7 * n));
        const std::vector<float> weight = noise.floats(static_cast<size_t>(n));
        const DeviceArray<float> device_x(x), device_weight(weight);
        const Norm norm{device_weight.data(), kEpsilon};
        const RaggedBatch batch = plain_rows(7, 2, {6, 0, 3}, 1);

        const auto all = bf16_output(9 * n);
        check_launched(rms_norm(batch.step(), device_x.data(), norm, n, all.data()), "rms_norm");
        check_close(widened(all), normed_rows(x, weight, {0, 1, 2, 3, 4, 5, 6}, 9), kHalfUlp, "rms_norm");

        const auto wanted = bf16_output(4 * n);
        check_launched(rms_norm_logit_rows(batch.step(), device_x.data(), norm, n, wanted.data()), "wanted rows");
        check_close(widened(wanted), normed_rows(x, weight, {6, 0, 3}, 4), kHalfUlp, "wanted rows");
    }
});

TEST("to_bf16 rounds to nearest even", {
    for (const int64_t n : columns()) {
        Noise noise(5);
        std::vector<float> x = noise.floats(static_cast<size_t>(3 * n));
        x[0] = 1.00390625F;                       // a tie: 1 + 2^-8 goes to the even 1
        x[static_cast<size_t>(n)] = 1.01171875F;  // a tie: 1 + 3 * 2^-8 goes up
        const DeviceArray<float> device_x(x);
        const RaggedBatch batch = plain_rows(3, 1);
        const auto out = bf16_output(4 * n);
        check_launched(to_bf16(batch.step(), device_x.data(), n, out.data()), "to_bf16");
        std::vector<double> want;
        for (float v : x) want.push_back(widen(qwen3::cuda::test::round_bf16(v)));
        want.resize(out.size(), kUntouched);
        check_close(widened(out), want, 0.0, "to_bf16");
        CHECK(want[0] == 1.0 && want[static_cast<size_t>(n)] == 1.015625);
    }
});

TEST("silu_mul, in place too; nothing for a shard without neurons", {
    for (const int64_t n : columns()) {
        Noise noise(6);
        const std::vector<float> gate = noise.floats(static_cast<size_t>(3 * n), 4.0F);
        const std::vector<float> up = noise.floats(static_cast<size_t>(3 * n));
        const DeviceArray<float> device_gate(gate), device_up(up);
        const RaggedBatch batch = plain_rows(3, 1);
        std::vector<double> want;
        for (size_t i = 0; i < gate.size(); ++i) want.push_back(gate[i] / (1.0 + std::exp(-double{gate[i]})) * up[i]);
        want.resize(static_cast<size_t>(4 * n), kUntouched);

        const DeviceArray<float> product(static_cast<size_t>(4 * n), kUntouched);
        const float* u = device_up.data();
        check_launched(silu_mul(batch.step(), device_gate.data(), u, n, product.data()), "silu_mul");
        check_close(product.read(), want, 1e-6, "silu_mul");
        check_launched(silu_mul(batch.step(), device_gate.data(), u, n, device_gate.data()), "silu_mul in place");
        want.resize(gate.size());
        check_close(device_gate.read(), want, 1e-6, "silu_mul in place");
    }
    CHECK(silu_mul(plain_rows(2).step(), nullptr, nullptr, 0, nullptr) == nullptr);
    CHECK(to_bf16(plain_rows(2).step(), nullptr, 0, nullptr) == nullptr);
});

TEST("devices of several host threads run at once", {
    const std::vector<float> x = Noise(13).floats(3 * 64);
    std::vector<double> want;
    for (float v : x) want.push_back(widen(qwen3::cuda::test::round_bf16(v)));
    std::vector<std::vector<float>> have(3);
    std::vector<std::thread> threads;
    for (auto& mine : have)
        threads.emplace_back([&] {
            const DeviceArray<float> device_x(x);
            const RaggedBatch batch = plain_rows(3);
            for (int turn = 0; turn < 5; ++turn) {
                const auto out = bf16_output(3 * 64);
                if (to_bf16(batch.step(), device_x.data(), 64, out.data()) == nullptr) mine = widened(out);
            }
        });
    for (std::thread& thread : threads) thread.join();
    for (const auto& mine : have) check_close(mine, want, 0.0, "to_bf16");
});

TEST_MAIN()
