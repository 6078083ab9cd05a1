export { amqpIntake, type AmqpIntake } from './amqpIntake.js'
export type { AmqpIntakeOptions } from './amqpIntakeOptions.js'
export { smtpIntake, type SmtpIntake } from './smtpIntake.js'
export type { IntakeTls, IntakeUser, SmtpIntakeLimits, SmtpIntakeOptions } from './smtpIntakeOptions.js'
