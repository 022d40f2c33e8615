"""Two cameras and a lidar in rclpy: cameras.py <bytes of a frame> <bytes of a cloud> <seconds>

Frames at 30 Hz on /left and /right, clouds at 10 Hz on /lidar, spread over a frame's time. Every second right frame has a
stamp half a frame beside the left one. Waits for a subscription to each, sends, and prints as JSON how many it sent.
"""
import json
import sys
import time

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2

frame, cloud, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
PERIOD_NS = 1_000_000_000 // 30

rclpy.init()
node = Node("cameras")
quality = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
left, right = (node.create_publisher(Image, topic, quality) for topic in ("/left", "/right"))
lidar = node.create_publisher(PointCloud2, "/lidar", quality)
image = Image(data=bytes(frame))
points = PointCloud2(data=bytes(cloud))
sent = 0


def send(publisher, message, at_ns, stamp_ns):
    global sent
    time.sleep(max(0, at_ns - time.time_ns()) / 1e9)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    publisher.publish(message)
    sent += 1


print(json.dumps({"up": True}), flush=True)
while any(publisher.get_subscription_count() == 0 for publisher in (left, right, lidar)):
    time.sleep(0.005)
# The other side may not have found us yet.
time.sleep(0.5)
print(json.dumps({"matched": True}), flush=True)
start = time.time_ns()
for number in range(int(seconds * 30)):
    at = start + number * PERIOD_NS
    send(left, image, at, at)
    send(right, image, at + PERIOD_NS // 3, at + number % 2 * PERIOD_NS // 2)
    if number % 3 == 0:
        send(lidar, points, at + PERIOD_NS * 2 // 3, at)
print(json.dumps({"sent": sent, "seconds": (time.time_ns() - start) / 1e9}), flush=True)
time.sleep(1)
