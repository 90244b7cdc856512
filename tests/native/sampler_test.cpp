#include <cmath>

#include "check.hpp"
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

TEST("parameters out of range are named", {
    CHECK_THROWS(SamplingParams{.temperature = -1.0F}.validate(), ConfigError, "temperature");
    CHECK_THROWS(SamplingParams{.top_p = 0.0F}.validate(), ConfigError, "top_p");
    CHECK_THROWS((SamplingParams{.top_logprobs = 21}.validate()), ConfigError, "top_logprobs");
    CHECK_THROWS(SamplingParams{.repetition_penalty = NAN}.validate(), ConfigError, "repetition_penalty");
});

TEST_MAIN()
