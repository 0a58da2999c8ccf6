//! The fields of a request, judged together.

use std::{fmt::Display, ops::RangeInclusive};

use kith_domain::{Code, FieldError, conversation::Seq, text::TextError};

use crate::problem::Problem;

/// Collects what is wrong with the fields of a request, so that all of it is told at once.
#[derive(Default)]
pub(crate) struct Form {
    errors: Vec<FieldError>,
}

impl Form {
    /// Takes a field's value, or notes what is wrong with it.
    pub(crate) fn take<T>(
        &mut self,
        field: &'static str,
        parsed: Result<T, TextError>,
    ) -> Option<T> {
        parsed.map_err(|error| self.errors.push(error.on(field))).ok()
    }

    /// Takes the value of a field that may be left out.
    pub(crate) fn maybe<T>(
        &mut self,
        field: &'static str,
        raw: Option<&str>,
        parse: impl Fn(&str) -> Result<T, TextError>,
    ) -> Option<T> {
        raw.and_then(|raw| self.take(field, parse(raw)))
    }

    /// Takes a number that may be left out, if it is within `range`.
    pub(crate) fn within<T: PartialOrd + Display>(
        &mut self,
        field: &'static str,
        number: Option<T>,
        range: &RangeInclusive<T>,
    ) -> Option<T> {
        let number = number?;
        if range.contains(&number) {
            return Some(number);
        }
        let message = format!("must be from {} to {}", range.start(), range.end());
        let message = message.into();
        self.errors.push(FieldError { field: field.into(), code: Code::InvalidValue, message });
        None
    }

    /// Everything is right, or what is not.
    pub(crate) fn check(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors.into()) }
    }

    /// What is wrong; for when something must be.
    pub(crate) fn into_problem(self) -> Problem {
        self.errors.into()
    }
}

/// The number of a message, as a client gives it.
pub(crate) fn seq(field: &'static str, seq: Seq) -> Result<Seq, Problem> {
    if seq >= 0 {
        return Ok(seq);
    }
    let message = "must be the number of a message, or 0";
    Err(Problem::field("validation_failed", field, "invalid_value", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_of_its_range_is_told_with_the_range() {
        let mut form = Form::default();
        assert_eq!(form.within("max_uses", Some(1), &(1..=10)), Some(1));
        assert_eq!(form.within("max_uses", None, &(1..=10)), None);
        assert_eq!(form.within("max_uses", Some(11), &(1..=10)), None);
        let problem = form.into_problem();
        assert_eq!(problem.code, "validation_failed");
        assert_eq!(problem.fields.len(), 1);
        assert_eq!(problem.fields[0].message, "must be from 1 to 10");
    }

    #[test]
    fn no_message_has_a_number_below_zero() {
        assert_eq!(seq("seq", 0).unwrap(), 0);
        assert_eq!(seq("seq", -1).unwrap_err().fields[0].field, "seq");
    }
}
