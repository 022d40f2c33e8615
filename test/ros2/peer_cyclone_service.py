"""Eclipse Cyclone DDS that speaks of services as ROS 2 does on it: a header of client and number before the fields.

Offers /peer_serves, which answers with what it is asked. Reads one JSON line a command from standard input, answers
with one JSON line: {"call": [prefixes, depth]} calls /we_serve.
"""
import json
import sys
import threading
import time
from dataclasses import dataclass

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.annotations import final
from cyclonedds.idl.types import int64, sequence, uint64
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration


@dataclass
@final
class Request(IdlStruct, typename="rcl_interfaces::srv::dds_::ListParameters_Request_"):
    client: uint64
    number: int64
    prefixes: sequence[str]
    depth: uint64


@dataclass
@final
class Response(IdlStruct, typename="rcl_interfaces::srv::dds_::ListParameters_Response_"):
    client: uint64
    number: int64
    names: sequence[str]
    prefixes: sequence[str]


qos = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepLast(10), Policy.DataRepresentation(use_cdrv0_representation=True))
participant = DomainParticipant()


def ends(name, incoming, outgoing, kind_in, kind_out):
    reader = DataReader(participant, Topic(participant, f"{kind_in[0]}/{name}{kind_in[1]}", incoming), qos=qos)
    writer = DataWriter(participant, Topic(participant, f"{kind_out[0]}/{name}{kind_out[1]}", outgoing), qos=qos)
    return reader, writer


REQUEST, REPLY = ("rq", "Request"), ("rr", "Reply")
asked, answer_writer = ends("peer_serves", Request, Response, REQUEST, REPLY)
answered, ask_writer = ends("we_serve", Response, Request, REPLY, REQUEST)


def serve():
    for request in asked.take_iter(timeout=duration(seconds=60)):
        # Replies to others come to everybody.
        answer_writer.write(Response(request.client ^ 1, request.number, ["not yours"], []))
        answer_writer.write(Response(request.client, request.number, request.prefixes, [str(request.depth)]))


def call(prefixes, depth, number):
    end = time.time() + 20
    while not (ask_writer.get_matched_subscriptions() and answered.get_matched_publications()):
        if time.time() > end:
            return {"error": "no service"}
        time.sleep(0.02)
    ask_writer.write(Request(4711, number, prefixes, depth))
    for response in answered.take_iter(timeout=duration(seconds=10)):
        if (response.client, response.number) == (4711, number):
            return {"names": list(response.names), "prefixes": list(response.prefixes)}
    return {"error": "no answer"}


threading.Thread(target=serve, daemon=True).start()
print(json.dumps({"ready": True}), flush=True)
for count, line in enumerate(sys.stdin):
    print(json.dumps(call(*json.loads(line)["call"], number=count + 1)), flush=True)
