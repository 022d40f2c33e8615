/**
 * The services that come along, in ROS 2's own notation: what they ask for, `---`, what they answer.
 * Field lists of std_srvs (BSD), action_msgs, rcl_interfaces and example_interfaces (Apache-2.0), which have not
 * changed from Humble to Jazzy; the messages that they contain come with the standard ones.
 */
export const standardServices: Readonly<Record<string, string>> = {
  'action_msgs/CancelGoal': `
    action_msgs/GoalInfo goal_info
    ---
    int8 return_code
    action_msgs/GoalInfo[] goals_canceling`,
  'std_srvs/Empty': '---',
  'std_srvs/SetBool': `
    bool data
    ---
    bool success
    string message`,
  'std_srvs/Trigger': `
    ---
    bool success
    string message`,
  'rcl_interfaces/DescribeParameters': `
    string[] names
    ---
    rcl_interfaces/ParameterDescriptor[] descriptors`,
  'rcl_interfaces/GetParameters': `
    string[] names
    ---
    rcl_interfaces/ParameterValue[] values`,
  'rcl_interfaces/GetParameterTypes': `
    string[] names
    ---
    uint8[] types`,
  'rcl_interfaces/ListParameters': `
    string[] prefixes
    uint64 depth
    ---
    rcl_interfaces/ListParametersResult result`,
  'rcl_interfaces/SetParameters': `
    rcl_interfaces/Parameter[] parameters
    ---
    rcl_interfaces/SetParametersResult[] results`,
  'rcl_interfaces/SetParametersAtomically': `
    rcl_interfaces/Parameter[] parameters
    ---
    rcl_interfaces/SetParametersResult result`,
  'example_interfaces/AddTwoInts': `
    int64 a
    int64 b
    ---
    int64 sum`,
}
