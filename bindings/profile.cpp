#include "qwen3/profile.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bindings.hpp"

namespace qwen3::python {
namespace {

using Numbers = nb::ndarray<nb::numpy, int64_t>;

Numbers owned(std::unique_ptr<int64_t[]> numbers, std::initializer_list<size_t> shape) {
    int64_t* data = numbers.release();
    const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<int64_t*>(p); });
    return Numbers(data, shape, owner);
}

// A numpy array that owns its copy of rows of times.
template <size_t verbs>
Numbers owned(const std::vector<std::array<int64_t, verbs>>& rows, std::initializer_list<size_t> shape) {
    auto copy = std::make_unique<int64_t[]>(rows.size() * verbs);
    for (size_t i = 0; i < rows.size(); ++i) std::copy(rows[i].begin(), rows[i].end(), copy.get() + i * verbs);
    return owned(std::move(copy), shape);
}

Numbers owned(const std::vector<int64_t>& numbers) {
    auto copy = std::make_unique<int64_t[]>(numbers.size());
    std::copy(numbers.begin(), numbers.end(), copy.get());
    return owned(std::move(copy), {numbers.size()});
}

Numbers layers(const StepProfile& step) {  // [devices, nlayer, verbs]
    const size_t devices = step.others.size();
    return owned(step.layers, {devices, devices == 0 ? 0 : step.layers.size() / devices, kLayerVerbs});
}

Numbers others(const StepProfile& step) { return owned(step.others, {step.others.size(), kStepVerbs}); }

template <typename Verb>
std::vector<std::string> names(size_t count) {
    std::vector<std::string> result;
    for (size_t i = 0; i < count; ++i) result.emplace_back(verb_name(static_cast<Verb>(i)));
    return result;
}

}  // namespace

void bind_profile(nb::module_& module) {
    module.attr("LAYER_VERBS") = nb::tuple(nb::cast(names<LayerVerb>(kLayerVerbs)));
    module.attr("STEP_VERBS") = nb::tuple(nb::cast(names<StepVerb>(kStepVerbs)));

    nb::class_<DeviceCounts>(module, "DeviceCounts")
        .def_ro("launches", &DeviceCounts::launches)
        .def_ro("collectives", &DeviceCounts::collectives)
        .def_ro("bytes", &DeviceCounts::bytes);

    nb::class_<StepProfile>(module, "StepProfile")
        .def_ro("tokens", &StepProfile::tokens)
        .def_ro("step_ns", &StepProfile::step_ns)
        .def("layers", &layers)
        .def("others", &others)
        .def_ro("counts", &StepProfile::counts);

    nb::class_<Profile>(module, "Profile")
        .def_ro("last_prefill", &Profile::last_prefill)
        .def_ro("last_decode", &Profile::last_decode)
        .def_ro("prefill_steps", &Profile::prefill_steps)
        .def_ro("prefill_tokens", &Profile::prefill_tokens)
        .def_ro("prefill_ns", &Profile::prefill_ns)
        .def_ro("decode_steps", &Profile::decode_steps)
        .def_ro("decode_tokens", &Profile::decode_tokens)
        .def_ro("decode_ns", &Profile::decode_ns)
        .def("prefill_expert_tokens", [](const Profile& profile) { return owned(profile.prefill_expert_tokens); })
        .def("decode_expert_tokens", [](const Profile& profile) { return owned(profile.decode_expert_tokens); })
        .def_ro("replayed_steps", &Profile::replayed_steps)
        .def_ro("probe_share", &Profile::probe_share);
}

}  // namespace qwen3::python
