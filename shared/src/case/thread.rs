//! What a case knows of its comments: the last number, and the questions that nobody has answered. It is part of the case, so a
//! new comment reads no other comment. Responses do not show it.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::newer::from_value;
use crate::{
    base::{CaseId, error::Error},
    table::{Item, number, to_attribute},
};

/// The attribute with the number of the last comment. Cases without comments do not have it.
const LAST_COMMENT_ID: &str = "last_comment_id";
/// The attribute with the open questions. Only cases that wait for an answer have it.
pub(super) const OPEN_QUESTIONS: &str = "open_questions";
/// The sort key of the index `by_waiting`. Only live cases that wait for an answer have it.
pub(super) const WAITING_ID: &str = "waiting_id";
/// The most open questions that a case remembers. Further ones replace the oldest, and the case still waits.
const MAX_QUESTIONS: usize = 100;

/// The comments of a case, as far as the case knows them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Thread {
    last_id: u32,
    questions: Vec<Question>,
}

/// A comment that asks, and that nobody has answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Question {
    comment_id: u32,
    user_id: String,
}

impl Thread {
    /// The number of the last comment; 0 without comments. Removed comments count.
    pub(super) fn last_id(&self) -> u32 {
        self.last_id
    }

    /// Whether a question has no answer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Adds a comment and returns its number. A comment that does not ask answers the questions of all other users.
    pub(super) fn add(&mut self, user_id: &str, asks: bool) -> u32 {
        self.last_id = self.last_id.saturating_add(1);
        if asks {
            if self.questions.len() >= MAX_QUESTIONS {
                self.questions.remove(0);
            }
            self.questions.push(Question { comment_id: self.last_id, user_id: user_id.to_owned() });
        } else {
            self.questions.retain(|question| question.user_id == user_id);
        }
        self.last_id
    }

    /// Removes the question of a comment, if it is open.
    pub(super) fn remove(&mut self, comment_id: u32) {
        self.questions.retain(|question| question.comment_id != comment_id);
    }

    /// Takes an attribute of the case's item. Returns it if it is another one.
    ///
    /// # Errors
    /// Internal, when it has another type.
    pub(super) fn take(
        &mut self,
        name: &str,
        value: AttributeValue,
    ) -> Result<Option<AttributeValue>, Error> {
        match name {
            LAST_COMMENT_ID => self.last_id = from_value(value)?,
            OPEN_QUESTIONS => self.questions = from_value(value)?,
            _ => return Ok(Some(value)),
        }
        Ok(None)
    }

    /// Puts the attributes into the item of the case. They are part of its sealed state.
    pub(super) fn extend(&self, item: &mut Item) -> Result<(), Error> {
        if self.last_id > 0 {
            item.insert(LAST_COMMENT_ID.to_owned(), number(self.last_id));
        }
        if self.is_waiting() {
            item.insert(OPEN_QUESTIONS.to_owned(), to_attribute(&self.questions)?);
        }
        Ok(())
    }

    /// Puts the key of the index `by_waiting` into the item of a live case.
    ///
    /// Unlike the keys of other indexes it is part of the sealed state: a release that does not know it keeps it as any unknown
    /// attribute, and seals it.
    pub(super) fn add_index_key(&self, id: CaseId, item: &mut Item) {
        if self.is_waiting() {
            item.insert(WAITING_ID.to_owned(), number(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_of_another_user_answers_and_one_of_the_asker_does_not() {
        let mut thread = Thread::default();
        assert_eq!((thread.add("1", true), thread.is_waiting()), (1, true));
        assert_eq!((thread.add("1", false), thread.is_waiting()), (2, true));
        assert_eq!((thread.add("2", true), thread.is_waiting()), (3, true));
        // It answers the question of 1; the question of 2 is still open.
        assert_eq!((thread.add("2", false), thread.is_waiting()), (4, true));
        assert_eq!((thread.add("3", false), thread.is_waiting()), (5, false));
    }

    #[test]
    fn a_removed_question_needs_no_answer() {
        let mut thread = Thread::default();
        let first = thread.add("1", true);
        let second = thread.add("1", true);
        thread.remove(first);
        assert!(thread.is_waiting());
        thread.remove(second);
        assert!(!thread.is_waiting());
        assert_eq!(thread.last_id(), 2, "a number is used once");
    }

    #[test]
    fn a_case_remembers_the_newest_questions() {
        let mut thread = Thread::default();
        for _ in 0..MAX_QUESTIONS + 5 {
            thread.add("1", true);
        }
        assert_eq!((thread.questions.len(), thread.questions[0].comment_id), (MAX_QUESTIONS, 6));
    }
}
