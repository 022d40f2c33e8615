/** The action that the tests use, in ROS 2's notation. */
export const FIBONACCI = 'test_msgs/action/Fibonacci'

export const fibonacci = { [FIBONACCI]: 'int32 order\n---\nint32[] sequence\n---\nint32[] sequence' }
