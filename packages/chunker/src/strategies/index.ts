/** The strategy table: the one place that knows which chunkers exist. To add one, add a file and a row. @module */
import { fastcdc } from './fastcdc.ts'
import { fixed } from './fixed.ts'
import { grid } from './grid.ts'
import type { Strategy } from './strategy.ts'

export const strategies = { grid, fixed, fastcdc } as const satisfies Record<string, Strategy>

export type StrategyName = keyof typeof strategies

export const isStrategyName = (name: string): name is StrategyName => Object.hasOwn(strategies, name)
