#include "runtime/control_groups.hpp"

#include <fstream>

namespace qwen3 {
namespace {

// The process's group in the hierarchy of this controller; "" is that of version 2. A line is "4:cpu,cpuacct:/path".
std::string own_group(const std::string& root, const std::string& controller) {
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const size_t first = line.find(':');
        const size_t second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        if (controllers.find("," + controller + ",") != std::string::npos && line.find('/') == second + 1)
            return line.substr(second + 1);
    }
    return "/";
}

std::vector<std::string> upwards(const std::string& top, std::string path) {
    std::vector<std::string> folders;
    for (; path.size() > 1; path.resize(path.rfind('/'))) folders.push_back(top + path);
    folders.push_back(top);
    return folders;
}

}  // namespace

std::vector<std::string> control_groups(const std::string& root) {
    return upwards(root + "/sys/fs/cgroup", own_group(root, ""));
}

std::vector<std::string> control_groups_v1(const std::string& root, const std::string& controller) {
    return upwards(root + "/sys/fs/cgroup/" + controller, own_group(root, controller));
}

}  // namespace qwen3
