"""Makes test/fixtures/*.mcap with other people's writers: `pip install mcap lz4 zstandard`, then run this file."""

import os
import struct

from mcap.writer import CompressionType, Writer

FOLDER = os.path.join(os.path.dirname(__file__), "..", "fixtures")

for name, compression in (("lz4", CompressionType.LZ4), ("zstd", CompressionType.ZSTD)):
    with open(os.path.join(FOLDER, f"python-{name}.mcap"), "wb") as file:
        writer = Writer(file, chunk_size=4000, compression=compression)
        writer.start(profile="ros2", library="python")
        schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"string data")
        channel = writer.register_channel("/chatter", "cdr", schema)
        for place in range(100):
            text = (f"message {place} " * (1 + place % 9)).encode() + b"\0"
            data = b"\0\1\0\0" + struct.pack("<I", len(text)) + text
            writer.add_message(channel, log_time=place * 1000, publish_time=place * 1000, data=data)
        writer.finish()
