/** An oVirt engine and imageio that answer like the real ones, for tests and demos. @module */
export type { Hold, SimulatorClock } from './clock/clock.ts'
export type { RealClockOptions } from './clock/real-clock.ts'
export { createRealClock } from './clock/real-clock.ts'
export type { VirtualClock, VirtualClockOptions } from './clock/virtual-clock.ts'
export { createVirtualClock } from './clock/virtual-clock.ts'
