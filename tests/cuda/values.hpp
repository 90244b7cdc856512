// Random values, bf16 on the host, and how results are compared.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "../native/check.hpp"
#include "ops/cuda/types.hpp"

namespace qwen3::cuda::test {

// What a kernel must not touch: a value that no computation gives.
constexpr float kUntouched = -12345.0F;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// TSan takes a hundred times as long: the smallest shapes that still show every access pattern.
#if defined(__SANITIZE_THREAD__)
constexpr bool kSmall = true;
#else
constexpr bool kSmall = false;
#endif
// The long tier: QWEN3_TEST_FULL=1.
inline bool full() { return !kSmall && std::getenv("QWEN3_TEST_FULL") != nullptr; }

inline float widen(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }
inline Bf16 round_bf16(float x) {
    const auto bits = std::bit_cast<uint32_t>(x);
    return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

class Noise {
public:
    explicit Noise(unsigned seed) : engine_(seed) {}

    std::vector<float> floats(size_t n, float scale = 1.0F) {
        std::normal_distribution<float> normal(0.0F, scale);
        std::vector<float> values(n);
        for (float& v : values) v = normal(engine_);
        return values;
    }
    std::vector<Bf16> bf16(size_t n, float scale = 1.0F) {
        std::vector<Bf16> values;
        values.reserve(n);
        for (float v : floats(n, scale)) values.push_back(round_bf16(v));
        return values;
    }
    // A permutation of 0 .. n - 1.
    std::vector<int32_t> shuffled(int32_t n) {
        std::vector<int32_t> values(static_cast<size_t>(n));
        for (int32_t i = 0; i < n; ++i) values[static_cast<size_t>(i)] = i;
        std::shuffle(values.begin(), values.end(), engine_);
        return values;
    }

private:
    std::mt19937 engine_;
};

// Every value within `tolerance` of what is wanted, relative to the largest wanted magnitude.
inline void check_close(const std::vector<float>& have, const std::vector<double>& want, double tolerance,
                        const std::string& what) {
    if (have.size() != want.size()) throw qwen3::test::Failure(__FILE__, __LINE__, what + ": sizes differ");
    double largest = 1e-30;
    for (double w : want)
        if (w != kUntouched) largest = std::max(largest, std::fabs(w));
    for (size_t i = 0; i < have.size(); ++i) {
        const double limit = want[i] == kUntouched ? 0.0 : tolerance * largest;
        if (std::fabs(have[i] - want[i]) <= limit) continue;
        throw qwen3::test::Failure(__FILE__, __LINE__,
                                   what + ": value " + std::to_string(i) + " is " + std::to_string(have[i]) +
                                       ", expected " + std::to_string(want[i]));
    }
}

inline void check_launched(const char* status, const std::string& what) {
    if (status) throw qwen3::test::Failure(__FILE__, __LINE__, what + ": " + status);
}

}  // namespace qwen3::cuda::test
