#include "runtime/device_name.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "qwen3/error.hpp"

namespace qwen3 {
namespace {

std::optional<DeviceName> parse(const std::string& name) {
    const size_t colon = name.find(':');
    const std::string kind = name.substr(0, colon);
    const std::string number = colon == std::string::npos ? "" : name.substr(colon + 1);
    DeviceName device{name, {}, 0};
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), device.index);
    if (error != std::errc() || end != number.data() + number.size() || device.index < 0) return std::nullopt;
    if (kind == "cpu")
        device.kind = DeviceKind::cpu;
    else if (kind == "cuda")
        device.kind = DeviceKind::cuda;
    else if (kind == "cudaemu")
        device.kind = DeviceKind::cuda_emu;
    else
        return std::nullopt;
    return device;
}

}  // namespace

std::vector<DeviceName> parse_devices(const std::vector<std::string>& names) {
    if (names.empty()) throw DeviceError("no device is named; use for example cpu:0");
    std::set<int> seen;
    std::vector<DeviceName> devices;
    for (const std::string& name : names) {
        const std::optional<DeviceName> device = parse(name);
        if (!device) throw DeviceError("device '" + name + "' is not known; a device is cpu:N or cuda:N");
        if (!devices.empty() && device->kind != devices.front().kind)
            throw DeviceError("devices '" + names.front() + "' and '" + name +
                              "' cannot share a model; name devices of one kind");
        if (!seen.insert(device->index).second) throw DeviceError("device '" + name + "' is named twice");
        devices.push_back(*device);
    }
    return devices;
}

std::vector<std::string> gpu_names(int64_t count) {
    std::vector<std::string> names;
    for (int64_t i = 0; i < count; ++i) names.push_back("cuda:" + std::to_string(i));
    return names;
}

const cuda_plugin::Plugin& plugin_of(DeviceKind kind) {
    if (kind == DeviceKind::cuda_emu) {
        static const cuda_plugin::Plugin emulated("libqwen3_cuda_emu.so");
        return emulated;
    }
    static const cuda_plugin::Plugin real("libqwen3_cuda.so");
    return real;
}

GpuCount count_gpus(DeviceKind kind) {
    try {
        return {plugin_of(kind).device_count(), {}};
    } catch (const Error& error) {
        return {0, error.what()};
    }
}

}  // namespace qwen3
