export { Ring, type Stats, statsOf } from './history'
export { type AlertType, alertTypes, type Rule, type RuleKind, ruleKinds, type Severity, severities } from './rules'
export {
  type Alert,
  type Clear,
  type HistoryView,
  type Measurement,
  Watch,
  type WatchEvent,
  type WatchOptions,
  type WatchState,
} from './watch'
