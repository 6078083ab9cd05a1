// Loaded before everything else, in each thread: the wall clock is wrong by what stands in the file WRONG_CLOCK.
import { readFileSync } from 'node:fs'

const right = Date.now
const file = process.env.WRONG_CLOCK
Date.now = () => right() + Number(readFileSync(file, 'utf8'))
