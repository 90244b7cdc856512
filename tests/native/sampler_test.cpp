#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "check.hpp"
#include "isa.hpp"
#include "ops/logits_scan.hpp"
#include "qwen3/error.hpp"
#include "runtime/philox.hpp"
#include "runtime/sampler.hpp"

using namespace qwen3;

namespace {

const std::vector<float> kLogits = {1.0F, 3.0F, 2.0F, 3.0F, -1.0F};
const std::vector<int32_t> kContext = {0, 1, 2};

Draw draw(const SamplingParams& params, const std::vector<float>& logits = kLogits) {
    return Sampler().draw(logits, params, kContext, 2);
}

// Rows that are hard in different ways, around the sizes of a block and at that of the published vocabulary.
std::vector<std::vector<float>> rows() {
    std::vector<std::vector<float>> rows;
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (size_t n : {1, 2, 15, 17, 255, 256, 257, 511, 513, 5003, 151936}) {
        std::vector<float> noise(n), ascending(n), descending(n), equal(n, -1.25F), steps(n), peaked(n), masked(n);
        for (size_t i = 0; i < n; ++i) {
            noise[i] = 3 * normal(random);
            ascending[i] = 1e-3F * static_cast<float>(i);
            descending[i] = -ascending[i];
            steps[i] = std::round(normal(random));  // equals everywhere
            peaked[i] = i % 1000 == 3 ? 20 + normal(random) : normal(random);
            masked[i] = i % 3 ? -INFINITY : noise[i];
        }
        for (auto* row : {&noise, &ascending, &descending, &equal, &steps, &peaked, &masked}) rows.push_back(*row);
    }
    return rows;
}

// Ids, best first, by sorting them all.
std::vector<int32_t> sorted(const std::vector<float>& logits) {
    std::vector<int32_t> ids(logits.size());
    std::iota(ids.begin(), ids.end(), 0);
    std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
        return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
    });
    return ids;
}

// The token that SamplingParams' definitions give, without penalties.
int32_t defined(const std::vector<float>& logits, std::vector<int32_t> ids, const SamplingParams& params) {
    if (params.top_k > 0) ids.resize(std::min(ids.size(), static_cast<size_t>(params.top_k)));
    std::vector<double> weights;
    double total = 0, held = 0;
    for (int32_t id : ids) {
        const double below = static_cast<double>(logits[static_cast<size_t>(id)]) - logits[static_cast<size_t>(ids[0])];
        total += weights.emplace_back(std::exp(below / params.temperature));
    }
    size_t keep = 0;
    while (keep < ids.size() && held < params.top_p * total) held += weights[keep++];
    const double target = uniform(params.seed, static_cast<int64_t>(kContext.size())) * held;
    held = 0;
    for (size_t i = 0; i < keep; ++i)
        if ((held += weights[i]) > target) return ids[i];
    return ids[keep - 1];
}

}  // namespace

TEST("Philox gives the published test vectors", {
    using Words = std::array<uint32_t, 4>;
    CHECK((philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    const uint32_t f = 0xffffffff;
    CHECK((philox4x32({f, f, f, f}, {f, f}) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    CHECK((philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
           Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
});

TEST("uniform numbers stay in [0, 1), and have the right mean and spread", {
    double sum = 0, squares = 0;
    constexpr int kDraws = 20000;
    for (int i = 0; i < kDraws; ++i) {
        const double u = uniform(7, i);
        CHECK(u >= 0.0 && u < 1.0);
        sum += u, squares += u * u;
    }
    CHECK(std::fabs(sum / kDraws - 0.5) < 0.01 && std::fabs(squares / kDraws - 1.0 / 3) < 0.01);
});

TEST("greedy takes the largest, the lowest id among equals", { CHECK(draw({.temperature = 0.0F}).id == 1); });

TEST("the log probability is the model's own, whatever the filters", {
    double total = 0;
    for (float x : kLogits) total += std::exp(x);
    const Draw d = draw({.temperature = 0.0F, .presence_penalty = 5.0F, .top_logprobs = 3});
    CHECK(std::fabs(d.logprob - std::log(std::exp(3.0) / total)) < 1e-6);
    CHECK(d.top_count == 3 && d.top[0].id == 1 && d.top[1].id == 3 && d.top[2].id == 2);
});

TEST("presence counts the reply alone, repetition prompt and reply", {
    // The reply is {2}; the prompt {0, 1}.
    CHECK(draw({.temperature = 0.0F, .presence_penalty = 100.0F}, {0, 0, 5, 1, 0}).id == 3);
    CHECK(draw({.temperature = 0.0F, .presence_penalty = 100.0F}, {5, 0, 0, 1, 0}).id == 0);
    CHECK(draw({.temperature = 0.0F, .repetition_penalty = 10.0F}, {5, 0, 0, 1, 0}).id == 3);
    CHECK(draw({.temperature = 0.0F, .repetition_penalty = 10.0F}, {-1, -1, -1, -2, -3}).id == 3);
});

TEST("forced tokens are reported with their real probability", {
    const int32_t forced = 4;
    const Draw d = Sampler().draw(kLogits, {}, kContext, 2, &forced);
    CHECK(d.id == 4 && d.logprob < -3.0F);
});

TEST("nothing at or above the vocabulary's limit is ever drawn", {
    for (uint64_t seed = 0; seed < 200; ++seed)
        CHECK(draw({.temperature = 5.0F, .top_k = 0, .top_p = 1.0F, .seed = seed, .vocab_limit = 2}).id < 2);
});

TEST("logits without a finite value are an error, not a token", {
    CHECK_THROWS(draw({}, {NAN, NAN}), Error, "not finite");
    CHECK_THROWS(draw({}, {INFINITY, 0.0F}), Error, "not finite");
});

TEST("one value that is not finite is found wherever it stands", {
    test::for_each_isa([](const cpu::Kernels&) {
        for (size_t n : {1, 16, 255, 257, 1000})
            for (float bad : {NAN, INFINITY})
                for (size_t at = 0; at < n; ++at) {
                    std::vector<float> logits(n, 1.0F);
                    logits[at] = bad;
                    CHECK_THROWS(Sampler().draw(logits, {}, kContext, 2), Error, "not finite");
                }
        CHECK_THROWS(Sampler().draw(std::vector<float>(300, -INFINITY), {}, kContext, 2), Error, "not finite");
    });
});

TEST("the sum of exponentials is exact to 1e-6, and the blocks' maxima are maxima", {
    const auto all = rows();
    test::for_each_isa([&](const cpu::Kernels&) {
        const LogitsScan scan;
        for (const std::vector<float>& logits : all) {
            const float most = *std::max_element(logits.begin(), logits.end());
            long double total = 0;
            for (float x : logits) total += std::exp(static_cast<long double>(x) - most);
            CHECK(std::fabs(scan.sum_exp(logits, most) / total - 1) <= 1e-6L);

            std::vector<float> maxima;
            scan.block_maxima(logits, maxima);
            CHECK(maxima.size() == (logits.size() + LogitsScan::kBlock - 1) / LogitsScan::kBlock);
            for (size_t b = 0; b < maxima.size(); ++b) {
                const auto first = logits.begin() + static_cast<ptrdiff_t>(b * LogitsScan::kBlock);
                const auto size = std::min<ptrdiff_t>(LogitsScan::kBlock, logits.end() - first);
                CHECK(maxima[b] == *std::max_element(first, first + size));
            }
        }
    });
});

TEST("the best tokens and the drawn one are those of a full sort, equals and all, on every instruction set", {
    for (const std::vector<float>& logits : rows()) {
        const std::vector<int32_t> order = sorted(logits);
        test::for_each_isa([&](const cpu::Kernels&) {
            Sampler sampler;
            for (int32_t top_k : {0, 1, 20, 700})
                for (float top_p : {0.5F, 0.95F})
                    for (float temperature : {0.6F, 3.0F}) {
                        const SamplingParams params{
                            .temperature = temperature, .top_k = top_k, .top_p = top_p, .seed = 3, .top_logprobs = 20};
                        const Draw d = sampler.draw(logits, params, kContext, 2);
                        CHECK(d.id == defined(logits, order, params));
                        CHECK(d.top_count == static_cast<int32_t>(std::min<size_t>(20, logits.size())));
                        for (size_t i = 0; i < static_cast<size_t>(d.top_count); ++i) CHECK(d.top[i].id == order[i]);
                    }
            CHECK(sampler.draw(logits, {.temperature = 0.0F}, kContext, 2).id == order[0]);
        });
    }
});

TEST("penalties count once however often a token occurs, and leave nothing for the next draw", {
    std::vector<float> logits(1000);
    logits[7] = 3.0F, logits[600] = 2.0F;
    const std::vector<int32_t> context = {7, 7, 7};
    Sampler sampler;
    SamplingParams params{.temperature = 0.0F, .presence_penalty = 0.9F};
    CHECK(sampler.draw(logits, params, context, 0).id == 7);
    params.presence_penalty = 1.1F;
    CHECK(sampler.draw(logits, params, context, 0).id == 600);
    CHECK(sampler.draw(logits, params, std::vector<int32_t>{600}, 0).id == 7);
    params.repetition_penalty = 1.4F, params.presence_penalty = 0.0F;  // twice would be 1.5
    CHECK(sampler.draw(logits, params, context, 0).id == 7);
});

TEST("parameters out of range are named", {
    CHECK_THROWS(SamplingParams{.temperature = -1.0F}.validate(), ConfigError, "temperature");
    CHECK_THROWS(SamplingParams{.top_p = 0.0F}.validate(), ConfigError, "top_p");
    CHECK_THROWS((SamplingParams{.top_logprobs = 21}.validate()), ConfigError, "top_logprobs");
    CHECK_THROWS(SamplingParams{.repetition_penalty = NAN}.validate(), ConfigError, "repetition_penalty");
});

TEST_MAIN()
