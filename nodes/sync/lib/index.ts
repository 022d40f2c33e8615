export { arrivalClock } from '../../shared/clock'
export { SyncGroup } from '../../shared/group'
export type { LiveOptions, SyncOptions } from './options'
export {
  type Dropped,
  type DropReason,
  type MatchStatus,
  type PushOutcome,
  Synchronizer,
  type SyncStats,
} from './synchronizer'
export { parseStamp, type StampUnit, stampUnits } from './timestamps'
