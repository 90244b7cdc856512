#include "qwen3/engine.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <exception>
#include <vector>

#include "bindings.hpp"

namespace qwen3::python {
namespace {

using Logits = nb::ndarray<nb::numpy, float>;
using LogitsRow = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Rows the engine writes; numpy then owns them without a copy.
class LogitsBuffer {
public:
    LogitsBuffer(size_t rows, int64_t vocab)
        : rows_(rows), vocab_(static_cast<size_t>(vocab)), data_(new float[rows_ * vocab_]) {}

    float* data() { return data_.get(); }
    Logits matrix() { return owned({rows_, vocab_}); }
    Logits row() { return owned({vocab_}); }

private:
    Logits owned(std::initializer_list<size_t> shape) {
        float* data = data_.release();
        const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<float*>(p); });
        return Logits(data, shape, owner);
    }

    size_t rows_;
    size_t vocab_;
    std::unique_ptr<float[]> data_;
};

HeldEngine create(const Meta& meta, const HeldWeights& weights, std::vector<std::string> devices,
                  const std::optional<std::string>& weights_dtype, const std::optional<std::string>& kv_dtype,
                  int64_t context, int threads, int64_t kv_budget, const nb::object& progress) {
    EngineOptions options;
    options.devices = std::move(devices);
    options.weights = parse_weight_option(weights_dtype);
    options.kv = parse_kv_option(kv_dtype);
    options.context = context;
    options.threads = threads;
    options.kv_budget = kv_budget;

    std::exception_ptr raised;  // by the callback, or by Ctrl-C: carried around the engine, which knows no Python
    const ProgressFn report = [&](std::string_view stage, int64_t done, int64_t total) {
        const nb::gil_scoped_acquire acquire;
        try {
            if (PyErr_CheckSignals() != 0) throw nb::python_error();
            return progress.is_none() || !progress(stage, done, total).is(Py_False);
        } catch (...) {
            raised = std::current_exception();
            return false;
        }
    };
    try {
        const nb::gil_scoped_release release;
        return HeldEngine(Engine::create(meta, weights.view(), options, report));
    } catch (...) {
        if (raised) std::rethrow_exception(raised);
        throw;
    }
}

HeldGeneration generate(HeldEngine& self, const Ids& ids, const HeldCache& cache, const SamplingParams& sampling,
                        bool background) {
    GenerationRequest request{{ids.data(), ids.data() + ids.size()}, cache.cache, sampling, background};
    const nb::gil_scoped_release release;
    return HeldGeneration(self->generate(std::move(request)));
}

nb::list step(HeldEngine& self, const std::vector<Ids>& tokens, const std::vector<HeldCache>& caches,
              const std::vector<LogitsRows>& rows) {
    std::vector<StepRequest> requests;
    std::vector<std::unique_ptr<LogitsBuffer>> buffers;  // [requests]; null where no logits are asked for
    for (size_t i = 0; i < tokens.size(); ++i) {
        const size_t count = rows[i] == LogitsRows::all ? tokens[i].size() : 1;
        buffers.push_back(rows[i] == LogitsRows::none ? nullptr
                                                      : std::make_unique<LogitsBuffer>(count, self->meta().dvoc));
        requests.push_back({view(tokens[i]), caches[i].cache, rows[i], buffers[i] ? buffers[i]->data() : nullptr});
    }
    {
        const nb::gil_scoped_release release;
        self->step(requests);
    }
    nb::list results;
    for (size_t i = 0; i < buffers.size(); ++i) {
        if (!buffers[i])
            results.append(nb::none());
        else
            results.append(rows[i] == LogitsRows::all ? buffers[i]->matrix() : buffers[i]->row());
    }
    return results;
}

Logits forward(HeldEngine& self, const Ids& ids) {
    LogitsBuffer logits(ids.size(), self->meta().dvoc);
    {
        const nb::gil_scoped_release release;
        self->forward(view(ids), logits.data());
    }
    return logits.matrix();
}

int32_t sample(const HeldEngine& self, const LogitsRow& logits, const SamplingParams& params, const Ids& context,
               int64_t prompt_tokens) {
    return self->sample({logits.data(), logits.size()}, params, view(context), prompt_tokens);
}

}  // namespace

void bind_engine(nb::module_& module) {
    nb::enum_<LogitsRows>(module, "LogitsRows")
        .value("none", LogitsRows::none)
        .value("last", LogitsRows::last)
        .value("all", LogitsRows::all);

    module.def(
        "default_devices",
        [](int64_t query_heads, int threads, bool gpus) { return default_devices(query_heads, threads, gpus); },
        nb::arg("query_heads"), nb::arg("threads") = 0, nb::arg("gpus") = true,
        "What the device list [\"auto\"] stands for.");
    module.def("why_no_gpu", &why_no_gpu, "What keeps this machine from GPUs; None: it has some.");
    module.def(
        "gpu_obstacle",
        [](const Meta& meta, const std::optional<std::string>& weights) {
            return gpu_obstacle(meta, parse_weight_option(weights));
        },
        nb::arg("meta"), nb::arg("weights").none(), "What keeps such a model from GPUs; None: nothing.");

    nb::class_<HeldEngine>(module, "Engine")
        .def_static("create", &create, nb::arg("meta"), nb::arg("weights"), nb::kw_only(), nb::arg("devices"),
                    nb::arg("weights_dtype").none(), nb::arg("kv_dtype").none(), nb::arg("context"), nb::arg("threads"),
                    nb::arg("kv_budget"), nb::arg("progress").none())
        .def("devices", [](const HeldEngine& self) { return self->devices(); })
        .def("weights_dtype", [](const HeldEngine& self) { return weight_type_name(self->weight_type()); })
        .def("kv_dtype", [](const HeldEngine& self) { return dtype_name(self->kv_dtype()); })
        .def("context", [](const HeldEngine& self) { return self->context(); })
        .def("threads", [](const HeldEngine& self) { return self->threads(); })
        .def("isa", [](const HeldEngine& self) { return self->isa(); })
        .def("new_cache",
             [](HeldEngine& self) {
                 const nb::gil_scoped_release release;
                 return HeldCache{self->new_cache()};
             })
        .def("generate", &generate, nb::arg("ids").noconvert(), nb::arg("cache"), nb::arg("sampling"),
             nb::arg("background"))
        .def("step", &step, nb::arg("tokens").noconvert(), nb::arg("caches"), nb::arg("rows"))
        .def("forward", &forward, nb::arg("ids").noconvert())
        .def("sample", &sample, nb::arg("logits").noconvert(), nb::arg("params"), nb::arg("context").noconvert(),
             nb::arg("prompt_tokens"))
        .def("memory", [](const HeldEngine& self) { return self->memory(); })
        .def("profile", [](const HeldEngine& self) { return self->profile(); })
        .def("reset_profile", [](HeldEngine& self) { self->reset_profile(); })
        .def("close", [](HeldEngine& self) {
            const nb::gil_scoped_release release;
            self->close();
        });
}

}  // namespace qwen3::python
