//! Files as products publish them, and what each was taken for.

use super::tests::guessed;

#[test]
fn names_that_a_job_writes_again_are_no_row() {
    let header = "calldate,src,dst,billsec,disposition,uniqueid\n";
    let row = |n: u32| {
        format!("2026-04-10 14:{n}:15,101,120255501{n},147,ANSWERED,1775831{n}5.1\n")
    };
    let (words, rows) = guessed(&format!("{header}{}{}{header}{}", row(10), row(11), row(12)));
    assert_eq!(
        (words.as_str(), rows),
        (
            "calldate=start_time src=caller_id dst=called_id billsec=bill_duration disposition=disconnect_reason uniqueid=call_id",
            3
        )
    );
}
