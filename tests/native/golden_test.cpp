// The engine against the logits of the PyTorch reference, without torch: what the sanitizers run.
#include "golden.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <thread>

#include "check.hpp"
#include "isa.hpp"
#include "qwen3/engine.hpp"

using namespace qwen3;
using namespace qwen3::test;
using namespace std::chrono_literals;

namespace {

// How the engine keeps weights and cache, and how far a row of its logits may be from float32 then: the root mean
// square of the differences, as a share of that of the row.
struct Numbers {
    WeightType weights;
    DType kv;
    float tolerance;
};
constexpr Numbers kNumbers[] = {
    {WeightType::f32, DType::f32, 1e-5F},    // sums in another order
    {WeightType::f16, DType::f32, 1e-5F},    // the same: golden weights are exact in 16 bits
    {WeightType::bf16, DType::f32, 1e-5F},   // of either kind
    {WeightType::bf16, DType::bf16, 1e-2F},  // keys and values rounded
    {WeightType::int8, DType::f32, 6e-2F},   // so small a model averages little of the rounding out
    {WeightType::int4, DType::bf16, 6e-1F},  // an unrelated row is at 1.4
};

const std::vector<Golden>& goldens() {
    static const std::vector<Golden> all = read_goldens(QWEN3_GOLDEN_FOLDER);
    return all;
}

template <class Values>
double rms(const Values& values) {
    double squares = 0.0;
    for (const auto v : values) squares += double{v} * v;
    return std::sqrt(squares / static_cast<double>(values.size()));
}

struct Setup {
    const Golden& golden;
    const Numbers& numbers;
    int devices;

    std::string name() const {
        return golden.name + ", " + std::string(weight_type_name(numbers.weights)) + " weights, " +
               std::string(dtype_name(numbers.kv)) + " KV, " + std::to_string(devices) + " devices";
    }

    std::shared_ptr<Engine> engine(int64_t prefill_chunk) const {
        EngineOptions options;
        options.devices.clear();
        for (int device = 0; device < devices; ++device) options.devices.push_back("cpu:" + std::to_string(device));
        options.weights = numbers.weights, options.kv = numbers.kv;
        options.threads = devices + 1;  // one device has two
        options.prefill_chunk = prefill_chunk;
        const GoldenWeights weights(golden.meta);
        return Engine::create(golden.meta, weights.get(), options);
    }

    // Differences on the scale of a row's logits.
    void check_close(const std::vector<double>& differences, const GoldenRow& row, const std::string& what) const {
        const double error = rms(differences) / rms(row.logits);
        if (!(error <= numbers.tolerance))
            throw std::runtime_error(name() + ", " + what + ": relative error " + std::to_string(error) +
                                     " at position " + std::to_string(row.position));
    }

    // Logits from position `first` on.
    void check_rows(const std::vector<float>& logits, int64_t first, const std::string& what) const {
        for (const GoldenRow& row : golden.rows) {
            if (row.position < first) continue;
            const float* result = logits.data() + (row.position - first) * golden.meta.dvoc;
            std::vector<double> differences;
            for (size_t id = 0; id < row.logits.size(); ++id)
                differences.push_back(double{result[id]} - row.logits[id]);
            check_close(differences, row, what);
        }
    }

    // A greedy token after the row's position, with the best alternatives: each has the log probability that the
    // reference gives it, and that the reference gives the one of its rank.
    void check_event(const TokenEvent& event, const GoldenRow& row, const std::string& what) const {
        CHECK(event.index == row.position + 1 && event.top_count == kMaxTopLogprobs && event.id == event.top[0].id);
        double total = 0.0;
        for (float v : row.logits) total += std::exp(double{v});
        std::vector<float> ranked = row.logits;
        std::sort(ranked.rbegin(), ranked.rend());
        std::vector<double> by_id, by_rank;
        for (size_t i = 0; i < event.top.size(); ++i) {
            const double logit = event.top[i].logprob + std::log(total);
            by_id.push_back(logit - row.logits[static_cast<size_t>(event.top[i].id)]);
            by_rank.push_back(logit - ranked[i]);
        }
        check_close(by_id, row, what + ", by id");
        check_close(by_rank, row, what + ", by rank");
    }
};

template <class Body>
void for_each_setup(Body&& body) {
    for (const Golden& golden : goldens())
        for (const Numbers& numbers : kNumbers)
            for (int devices : {1, 2, 3}) body(Setup{golden, numbers, devices});
}

std::span<const int32_t> from(const std::vector<int32_t>& ids, int64_t first) {
    return std::span(ids).subspan(static_cast<size_t>(first));
}

TokenEvent only_event(Generation& generation) {
    while (!generation.done()) generation.wait(1s);
    generation.rethrow_error();
    std::vector<TokenEvent> events;
    generation.drain(events);
    CHECK(events.size() == 1);
    return events.front();
}

}  // namespace

TEST("logits are the reference's for any devices, types and chunks of prefill", {
    for_each_setup([](const Setup& setup) {
        for (int64_t chunk : {256, 40}) {
            std::vector<float> logits(setup.golden.ids.size() * static_cast<size_t>(setup.golden.meta.dvoc));
            setup.engine(chunk)->forward(setup.golden.ids, logits.data());
            setup.check_rows(logits, 0, "chunks of " + std::to_string(chunk));
        }
    });
});

TEST("logits are the reference's on every instruction set", {
    for_each_isa([](const cpu::Kernels& kernels) {
        for (const Golden& golden : goldens())
            for (const Numbers& numbers : kNumbers) {
                const Setup setup{golden, numbers, 1};
                const auto engine = setup.engine(256);
                CHECK(engine->isa() == kernels.isa);
                std::vector<float> logits(golden.ids.size() * static_cast<size_t>(golden.meta.dvoc));
                engine->forward(golden.ids, logits.data());
                setup.check_rows(logits, 0, kernels.isa);
            }
    });
});

TEST("replies at the same time, half of them on forks of one cache, draw what the reference would", {
    for_each_setup([](const Setup& setup) {
        constexpr int64_t kShared = 70;  // a page, and a part of the next for each fork to copy
        const Golden& golden = setup.golden;
        const auto engine = setup.engine(16);
        const auto base = engine->new_cache();
        const StepRequest fill{std::span(golden.ids).first(kShared), base, LogitsRows::none, nullptr};
        engine->step(std::span(&fill, 1));

        std::mutex mutex;
        std::exception_ptr failure;
        std::atomic<int> checked{0};
        std::vector<std::thread> readers;
        for (int reader = 0; reader < 4; ++reader)
            readers.emplace_back([&, reader] {
                try {
                    const int64_t kept = reader % 2 ? kShared - reader : 0;
                    const auto cache = kept ? base->fork(kept) : engine->new_cache();
                    for (const GoldenRow& row : golden.rows) {  // in turns: each prompt continues the one before
                        if (row.position < kept) continue;
                        const auto end = golden.ids.begin() + row.position + 1;
                        const auto reply = engine->generate({.tokens = {golden.ids.begin(), end},
                                                             .cache = cache,
                                                             .sampling = {.temperature = 0.0F,
                                                                          .max_new_tokens = 1,
                                                                          .stop_ids = std::vector<int32_t>{},
                                                                          .top_logprobs = kMaxTopLogprobs}});
                        setup.check_event(only_event(*reply), row, "reader " + std::to_string(reader));
                        ++checked;
                    }
                } catch (...) {
                    const std::lock_guard lock(mutex);
                    failure = std::current_exception();
                }
            });
        for (std::thread& reader : readers) reader.join();
        if (failure) std::rethrow_exception(failure);
        CHECK(checked > 2 * static_cast<int>(golden.rows.size()));

        const auto rest = from(golden.ids, kShared);
        std::vector<float> logits(rest.size() * static_cast<size_t>(golden.meta.dvoc));
        const StepRequest tail{rest, base, LogitsRows::all, logits.data()};
        engine->step(std::span(&tail, 1));
        setup.check_rows(logits, kShared, "after the forks");
    });
});

TEST_MAIN()
