// The whole engine on a tiny random model in memory: threads, caches and generations under load. What it computes is
// compared with the reference in tests/engine; here the sanitizers watch how.
#include "qwen3/engine.hpp"

#include <atomic>
#include <cmath>
#include <random>
#include <thread>

#include "check.hpp"
#include "qwen3/error.hpp"

using namespace qwen3;
using namespace std::chrono_literals;

namespace {

Meta tiny() {
    Meta m;
    m.nlayer = 2, m.d = 32, m.nh = 6, m.nkvh = 2, m.dh = 8, m.di = 80, m.dctx = 512, m.dvoc = 97;
    m.end_tokens = {96};
    m.tie_embd = true;
    return m;
}

// Random weights that live as long as this object.
class Model {
public:
    explicit Model(const Meta& meta) : weights_(meta.nlayer) {
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        for_each_place(meta, [&](const Place& place) {
            TensorView view{.data = nullptr, .dtype = DType::f32, .shape = slot_shape(place.slot, meta)};
            auto& values = storage_.emplace_back(view.nbytes() / sizeof(float));
            const float scale = view.shape.size() == 1 ? 0.3F : 1.0F / std::sqrt(static_cast<float>(view.shape[1]));
            for (float& v : values) v = (view.shape.size() == 1 ? 1.0F : 0.0F) + scale * normal(random);
            view.data = reinterpret_cast<const std::byte*>(values.data());
            weights_.at(place) = view;
        });
    }
    const Weights& weights() const { return weights_; }

private:
    std::vector<std::vector<float>> storage_;
    Weights weights_;
};

std::shared_ptr<Engine> make(EngineOptions options = {}) {
    const Model model(tiny());
    options.threads = options.threads ? options.threads : 2;
    return Engine::create(tiny(), model.weights(), options);
}

std::vector<int32_t> prompt(int64_t n, int32_t first = 1) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>((first + i * i * 7) % 96));
    return ids;
}

std::vector<int32_t> finish(Generation& generation) {
    std::vector<TokenEvent> events;
    while (!generation.done()) {
        generation.wait(1s);
        generation.drain(events);
    }
    generation.drain(events);
    std::vector<int32_t> ids;
    for (const TokenEvent& event : events) ids.push_back(event.id);
    return ids;
}

SamplingParams never_stops(int64_t tokens, uint64_t seed) {
    return {.temperature = 1.0F, .seed = seed, .max_new_tokens = tokens, .stop_ids = std::vector<int32_t>{}};
}

}  // namespace

TEST("logits are finite, and the same bits for any number of threads and any chunk of prefill", {
    const std::vector<int32_t> ids = prompt(150);
    std::vector<float> expected;
    for (int threads : {1, 2, 3})
        for (int64_t chunk : {int64_t{256}, int64_t{7}}) {
            EngineOptions options;
            options.threads = threads, options.prefill_chunk = chunk;
            std::vector<float> logits(ids.size() * 97);
            make(options)->forward(ids, logits.data());
            for (float v : logits) CHECK(std::isfinite(v));
            if (expected.empty()) expected = logits;
            CHECK(logits == expected);
        }
});

TEST("three devices agree with one", {
    const std::vector<int32_t> ids = prompt(70);
    std::vector<float> one(ids.size() * 97), three = one;
    make()->forward(ids, one.data());
    EngineOptions options;
    options.devices = {"cpu:0", "cpu:1", "cpu:2"}, options.threads = 4;
    make(options)->forward(ids, three.data());
    for (size_t i = 0; i < one.size(); ++i) CHECK(std::fabs(one[i] - three[i]) < 1e-4F);
});

TEST("replies together say what they say alone, whoever drains them", {
    for (const auto& devices : {std::vector<std::string>{"cpu:0"}, std::vector<std::string>{"cpu:0", "cpu:1"}}) {
        EngineOptions options;
        options.devices = devices;
        const auto engine = make(options);
        std::vector<std::vector<int32_t>> alone;
        for (int i = 0; i < 4; ++i) {
            const auto reply = engine->generate({.tokens = prompt(20 + 50 * i, i), .sampling = never_stops(300, 5)});
            alone.push_back(finish(*reply));
            CHECK(alone.back().size() == 300);
        }
        std::atomic<int> equal{0};
        std::vector<std::thread> readers;
        for (int i = 0; i < 4; ++i)
            readers.emplace_back([&, i] {
                const auto reply =
                    engine->generate({.tokens = prompt(20 + 50 * i, i), .sampling = never_stops(300, 5)});
                equal += finish(*reply) == alone[static_cast<size_t>(i)];
            });
        for (std::thread& reader : readers) reader.join();
        CHECK(equal == 4);
        CHECK(engine->memory().kv_used == 0);
    }
});

TEST("forks, steps and replies from many threads leave every page accounted for", {
    const auto engine = make();
    const auto base = engine->new_cache();
    const std::vector<int32_t> ids = prompt(100);
    const StepRequest fill{ids, base, LogitsRows::none, nullptr};
    engine->step(std::span(&fill, 1));
    std::vector<std::thread> threads;
    std::atomic<int> failures{0};
    for (int i = 0; i < 6; ++i)
        threads.emplace_back([&, i] {
            for (int round = 0; round < 10; ++round) {
                auto branch = base->fork(90 + i);
                std::vector<int32_t> ids = branch->tokens();
                ids.push_back(i);
                const auto reply = engine->generate({.tokens = ids, .cache = branch, .sampling = never_stops(20, 3)});
                if (round % 3 == 0)
                    reply->cancel();
                else if (finish(*reply).size() != 20)
                    ++failures;
                engine->profile();
                engine->memory();
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(failures == 0 && base->size() == 100 && engine->memory().kv_pages_used == 2);
});

TEST("closing with replies alive ends them as cancelled, and later calls say so", {
    const auto engine = make();
    auto reply = engine->generate({.tokens = prompt(10), .sampling = never_stops(100000, 1)});
    reply->wait(10s);
    engine->close();
    CHECK(reply->done() && reply->finish_reason() == FinishReason::cancelled);
    CHECK_THROWS(engine->generate({.tokens = prompt(10)}), DeviceError, "closed");
    engine->close();
});

TEST("a load that its progress callback refuses is cancelled, on any number of devices", {
    const Model model(tiny());
    for (const auto& devices : {std::vector<std::string>{"cpu:0"}, std::vector<std::string>{"cpu:0", "cpu:1", "cpu:2"}})
        for (int after : {0, 3, 10}) {
            EngineOptions options;
            options.devices = devices;
            int calls = 0;
            auto progress = [&](std::string_view, int64_t, int64_t) { return ++calls <= after; };
            CHECK_THROWS(Engine::create(tiny(), model.weights(), options, progress), Cancelled, "cancelled");
        }
});

TEST("progress is reported to the thread that waits for the load, and what it throws comes back", {
    const Model model(tiny());
    const auto here = std::this_thread::get_id();
    bool elsewhere = false;
    std::string stages;
    auto watch = [&](std::string_view stage, int64_t done, int64_t total) {
        if (std::this_thread::get_id() != here || done > total) elsewhere = true;
        if (done == total) stages += std::string(stage) + " ";
        return true;
    };
    EngineOptions options;
    options.devices = {"cpu:0", "cpu:1"};
    Engine::create(tiny(), model.weights(), options, watch);
    CHECK(!elsewhere);
    CHECK(stages.ends_with("repack warm-up "));
    auto give_up = [](std::string_view stage, int64_t, int64_t) -> bool {
        if (stage == "warm-up") throw std::runtime_error("enough of this");
        return true;
    };
    CHECK_THROWS(Engine::create(tiny(), model.weights(), options, give_up), std::runtime_error, "enough of this");
});

TEST("a full KV budget ends one reply with an error that says what fits, and the engine goes on", {
    EngineOptions options;
    options.kv_budget = 1;
    CHECK_THROWS(make(options), OutOfMemory, "page");
    const int64_t page = make()->memory().kv_bytes_per_token * kPageTokens;
    options.kv_budget = 2 * page;
    const auto engine = make(options);
    const auto reply = engine->generate({.tokens = prompt(100), .sampling = never_stops(200, 1)});
    CHECK(finish(*reply).size() == 29 && reply->finish_reason() == FinishReason::error);
    CHECK_THROWS(reply->rethrow_error(), OutOfMemory, "tokens fit");
    const auto second = engine->generate({.tokens = prompt(100, 2), .sampling = never_stops(5, 1)});
    CHECK(finish(*second).size() == 5);
});

TEST("a row of logits that is not the vocabulary's is refused", {
    const auto engine = make();
    const std::vector<float> row(96, 1.0F);
    CHECK_THROWS(engine->sample({}, {}, {}, 0), ConfigError, "97");
    CHECK_THROWS(engine->sample(row, {}, {}, 0), ConfigError, "97");
});

TEST("a reply that is refused leaves its cache as it was", {
    const auto engine = make();
    const auto cache = engine->new_cache();
    const std::vector<int32_t> ids = prompt(100);
    const StepRequest fill{ids, cache, LogitsRows::none, nullptr};
    engine->step(std::span(&fill, 1));
    SamplingParams sampling;
    sampling.stop_ids = std::vector<int32_t>{97};
    CHECK_THROWS(engine->generate({.tokens = prompt(50), .cache = cache, .sampling = sampling}), ConfigError, "97");
    CHECK(cache->size() == 100 && !cache->busy());
    engine->close();
    CHECK_THROWS(engine->generate({.tokens = prompt(50), .cache = cache}), DeviceError, "closed");
    CHECK(cache->size() == 100 && !cache->busy());
});

TEST("weights at any address are read: a file's header may have any length", {
    const Model model(tiny());
    std::vector<std::vector<std::byte>> shifted;
    Weights weights(tiny().nlayer);
    for_each_place(tiny(), [&](const Place& place) {
        TensorView view = model.weights().at(place);
        std::vector<std::byte>& bytes = shifted.emplace_back(view.nbytes() + 1);
        std::copy_n(view.data, view.nbytes(), bytes.begin() + 1);
        view.data = bytes.data() + 1;
        weights.at(place) = view;
    });
    const std::vector<int32_t> ids = prompt(5);
    std::vector<float> expected(ids.size() * 97), logits = expected;
    make()->forward(ids, expected.data());
    Engine::create(tiny(), weights, {})->forward(ids, logits.data());
    CHECK(logits == expected);
});

TEST("the activations that memory() counts are all that a step needs", {
    const auto engine = make();
    std::vector<float> logits(64 * 97);
    engine->forward(prompt(64), logits.data());
    const Meta m = tiny();  // hidden, its norm, attention in and out, K, V, gate, up
    const int64_t floats = 64 * (2 * m.d + 2 * m.nh * m.dh + 2 * m.nkvh * m.dh + 2 * m.di);
    CHECK(engine->memory().activations == floats * 4);
});

TEST("a reply that fails does not put the others to sleep", {
    EngineOptions options;
    options.kv_budget = 3 * make()->memory().kv_bytes_per_token * kPageTokens;
    const auto engine = make(options);
    const auto other = engine->generate({.tokens = prompt(10), .sampling = never_stops(170, 1), .background = true});
    CHECK(other->wait(10s));
    const auto failing = engine->generate({.tokens = prompt(200), .sampling = never_stops(1, 1)});
    // Nobody drains or cancels, which would wake the engine's thread.
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!other->done() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    CHECK(failing->wait(10s) && failing->finish_reason() == FinishReason::error);
    CHECK(other->finish_reason() == FinishReason::length);
});

TEST("a KV budget of more pages than there are ids is refused", {
    EngineOptions options;
    options.kv_budget = int64_t{1} << 46;
    CHECK_THROWS(make(options), ConfigError, "kv_budget");
});

TEST("a shape whose products do not fit is refused", {
    Meta m = tiny();
    m.nh = int64_t{1} << 28, m.dh = 16;
    CHECK_THROWS(m.validate(), ConfigError, "meta.nh");
    m.nh = int64_t{1} << 26;
    m.validate();
});

TEST_MAIN()
