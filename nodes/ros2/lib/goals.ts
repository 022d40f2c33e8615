/** What both ends of an action share: ROS 2's names, numbers and ways of writing. */
import type { Qos } from './transport'

/** What became of a goal, by ROS 2's numbers. */
export const goalStatuses = [
  'unknown',
  'accepted',
  'executing',
  'canceling',
  'succeeded',
  'canceled',
  'aborted',
] as const
export type GoalStatus = (typeof goalStatuses)[number]

/** How a goal ends. */
export type GoalEnd = 'succeeded' | 'canceled' | 'aborted'

export function isEnd(status: GoalStatus): status is GoalEnd {
  return status === 'succeeded' || status === 'canceled' || status === 'aborted'
}

/** What a server says to the wish to cancel. */
export const cancelCodes = { none: 0, refused: 1, unknown: 2, over: 3 } as const

/** The names of an action's services and topics. */
export function namesOf(action: string) {
  const of = (name: string) => `${action}/_action/${name}`
  return {
    sendGoal: of('send_goal'),
    getResult: of('get_result'),
    cancelGoal: of('cancel_goal'),
    feedback: of('feedback'),
    status: of('status'),
  }
}

export const CANCEL_GOAL = 'action_msgs/srv/CancelGoal'
export const GOAL_STATUS_ARRAY = 'action_msgs/msg/GoalStatusArray'

export const FEEDBACK_QOS: Qos = { reliability: 'reliable', depth: 100 }
/** Latecomers get the last one. */
export const STATUS_QOS: Qos = { reliability: 'reliable', durability: 'transient-local' }

const UUID_BYTES = 16
const CDR_HEADER = 4

/** A goal's id as it is in messages. */
export function toUuid(id: string): { uuid: Buffer } {
  return { uuid: Buffer.from(id.replaceAll('-', ''), 'hex') }
}

/** And as a text of the usual form. */
export function fromUuid(uuid: Buffer): string {
  return uuid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** The id of the goal that feedback is of, which is its first field: feedback of others need not be decoded. */
export function idOfFeedback(cdr: Buffer): string {
  return fromUuid(cdr.subarray(CDR_HEADER, CDR_HEADER + UUID_BYTES))
}

interface End {
  close(): Promise<void>
}

/** Opens several ends; when one of them fails, those before it are closed. */
export function together<Ends>(open: (keep: <One extends End>(end: One) => One) => Ends): Ends {
  const opened: End[] = []
  try {
    return open((end) => {
      opened.push(end)
      return end
    })
  } catch (error) {
    for (const end of opened) end.close().catch(() => {})
    throw error
  }
}

export interface GoalInfo {
  goal_id: { uuid: Buffer }
  stamp: { sec: number; nanosec: number }
}
