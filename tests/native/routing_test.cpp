// Which experts a token takes, and which tokens an expert meets.
#include "ops/cpu/routing.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include "check.hpp"

using namespace qwen3::cpu;

namespace {

struct Choice {
    std::vector<int32_t> experts;
    std::vector<float> weights;
};

Choice choose(std::vector<float> logits, size_t count, bool normalised) {
    Choice choice{std::vector<int32_t>(count), std::vector<float>(count)};
    choose_experts(logits, normalised, choice.experts, choice.weights);
    return choice;
}

bool near(float a, double b) { return std::fabs(a - b) <= 1e-6; }

}  // namespace

TEST("the likeliest are chosen, in ascending order, with their probabilities", {
    const std::vector<float> logits = {0.0F, 2.0F, -1.0F, 3.0F, 1.0F};
    double sum = 0.0;
    for (float x : logits) sum += std::exp(static_cast<double>(x));
    const Choice plain = choose(logits, 2, false), scaled = choose(logits, 2, true);
    CHECK((plain.experts == std::vector<int32_t>{1, 3}));
    CHECK(near(plain.weights[0], std::exp(2.0) / sum) && near(plain.weights[1], std::exp(3.0) / sum));
    CHECK(scaled.experts == plain.experts);
    CHECK(near(scaled.weights[0], 1.0 / (1.0 + std::exp(1.0))) && near(scaled.weights[0] + scaled.weights[1], 1.0));
});

TEST("of equals the first ones are chosen", {
    CHECK((choose({1.0F, 2.0F, 2.0F, 2.0F, 1.0F}, 2, true).experts == std::vector<int32_t>{1, 2}));
    CHECK((choose({5.0F, 5.0F}, 2, true).experts == std::vector<int32_t>{0, 1}));
});

TEST("large logits do not overflow, and hopeless experts can be chosen", {
    const Choice choice = choose({3e4F, -3e4F, 3e4F}, 3, true);
    CHECK((choice.experts == std::vector<int32_t>{0, 1, 2}));
    CHECK(near(choice.weights[0], 0.5) && choice.weights[1] == 0.0F);
});

TEST("what is not a number chooses experts that are there, each once, with weights that are none either", {
    const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
    for (const std::vector<float>& logits :
         {std::vector<float>{nan, nan, nan, nan}, std::vector<float>{1.0F, nan, 2.0F, 0.0F},
          std::vector<float>{inf, 1.0F, inf, 0.0F}}) {
        const Choice choice = choose(logits, 3, true);
        const std::set<int32_t> distinct(choice.experts.begin(), choice.experts.end());
        CHECK(distinct.size() == 3 && *distinct.begin() >= 0 && *distinct.rbegin() < 4);
        bool poisoned = false;
        for (float weight : choice.weights) poisoned |= std::isnan(weight);
        CHECK(poisoned);
    }
});

TEST("pairs are grouped by expert, tokens ascending, and every token meets its experts with its weights", {
    constexpr int64_t kTokens = 40, kExperts = 9, kEach = 3;
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    Routing routing;
    routing.reserve(kTokens, kExperts, kEach);
    std::vector<Choice> expected;
    for (int64_t token = 0; token < kTokens; ++token) {
        std::vector<float> logits(kExperts);
        for (float& x : logits) x = normal(random);
        logits[4] = -100.0F;  // nobody's
        expected.push_back(choose(logits, kEach, true));
        routing.choose(token, logits, true);
    }
    routing.group(kTokens);
    CHECK(routing.pairs() == kTokens * kEach);
    std::vector<Choice> found(kTokens);
    int64_t at = 0, last_expert = -1;
    for (const Routing::Group& group : routing.groups()) {
        CHECK(group.first == at && group.pairs > 0 && group.expert > last_expert && group.expert != 4);
        for (int64_t pair = group.first; pair < group.first + group.pairs; ++pair) {
            CHECK(pair == group.first || routing.token(pair) > routing.token(pair - 1));
            Choice& of_token = found[static_cast<size_t>(routing.token(pair))];
            of_token.experts.push_back(static_cast<int32_t>(group.expert));
            of_token.weights.push_back(routing.weight(pair));
        }
        at += group.pairs, last_expert = group.expert;
    }
    CHECK(at == routing.pairs());
    for (size_t token = 0; token < found.size(); ++token)
        CHECK(found[token].experts == expected[token].experts && found[token].weights == expected[token].weights);
});

TEST_MAIN()
