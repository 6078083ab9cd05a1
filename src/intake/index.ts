export { smtpIntake, type SmtpIntake } from './smtpIntake.js'
export type { IntakeTls, IntakeUser, SmtpIntakeLimits, SmtpIntakeOptions } from './smtpIntakeOptions.js'
