use super::*;

fn passwords(parallel: usize, queue: usize) -> Passwords {
    Passwords {
        places: Arc::new(Semaphore::new(parallel + queue)),
        running: Arc::new(Semaphore::new(parallel)),
        nobodys: hashed("nobody's password").unwrap(),
        accounts: Throttle::new(BY_ACCOUNT),
        addresses: Throttle::new(BY_ADDRESS),
    }
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[tokio::test]
async fn a_hash_is_argon2id_with_the_recommended_cost_and_verifies() {
    let passwords = passwords(1, 1);
    let hash = passwords.hash("correct horse".into()).await.unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    assert_eq!(
        passwords.verify("correct horse".into(), Some(&hash)).await,
        Ok(true)
    );
    assert_eq!(
        passwords.verify("battery staple".into(), Some(&hash)).await,
        Ok(false)
    );
    assert_eq!(
        passwords.verify("correct horse".into(), Some("junk")).await,
        Ok(false)
    );
}

#[tokio::test]
async fn nobodys_password_is_right_for_nobody() {
    let passwords = passwords(1, 1);
    assert_eq!(
        passwords.verify("nobody's password".into(), None).await,
        Ok(false)
    );
}

#[tokio::test]
async fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    let passwords = passwords(1, 1);
    let hash = passwords.hash("correct horse".into()).await.unwrap();
    let mut shortest = [Duration::MAX; 2];
    let mut ratio = 0.0;
    // The shortest times tend to what the work takes, however busy the machine is.
    for _ in 0..20 {
        for (shortest, stored) in shortest.iter_mut().zip([Some(hash.as_str()), None]) {
            let start = Instant::now();
            assert_eq!(passwords.verify("wrong".into(), stored).await, Ok(false));
            *shortest = (*shortest).min(start.elapsed());
        }
        let [known, unknown] = shortest.map(|time| time.as_secs_f64());
        ratio = known / unknown;
        if (0.5..2.0).contains(&ratio) {
            return;
        }
    }
    panic!("a wrong password takes {ratio} times as long as an unknown user");
}

#[tokio::test]
async fn who_finds_no_place_in_the_queue_is_told_to_come_back() {
    let passwords = Arc::new(passwords(1, 1));
    let turn = Arc::clone(&passwords.running)
        .acquire_owned()
        .await
        .unwrap();
    let mut first = Box::pin(passwords.hash("correct horse".into()));
    let mut second = Box::pin(passwords.hash("correct horse".into()));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    let third = passwords.hash("correct horse".into()).await;
    assert_eq!(third, Err(crowded()));
    drop(turn);
    first.await.unwrap();
    second.await.unwrap();
    passwords.hash("correct horse".into()).await.unwrap();
}

#[tokio::test]
async fn failures_count_by_account_and_by_address() {
    let passwords = passwords(1, 1);
    let (ann, bob) = (UserId::new("ann").unwrap(), UserId::new("bob").unwrap());
    for _ in 0..BY_ACCOUNT.burst {
        let _failed = passwords.admit(ip("192.0.2.1"), Some(&ann)).unwrap();
    }
    let refused = passwords.admit(ip("192.0.2.2"), Some(&ann)).err().unwrap();
    assert_eq!(refused.refusal.code, Code::TooManyRequests);
    assert!(refused.retry_after <= BY_ACCOUNT.every);
    for _ in BY_ACCOUNT.burst..BY_ADDRESS.burst {
        let _failed = passwords.admit(ip("192.0.2.1"), None).unwrap();
    }
    assert!(passwords.admit(ip("192.0.2.1"), Some(&bob)).is_err());
    for _ in 0..1000 {
        passwords
            .admit(ip("127.0.0.1"), Some(&bob))
            .unwrap()
            .succeeded();
    }
}

#[test]
fn a_chosen_password_is_neither_short_nor_endless() {
    assert!(check("password", "12345678").is_ok());
    assert!(check("password", &"x".repeat(128)).is_ok());
    let error = check("new_password", "1234567").unwrap_err().to_string();
    assert_eq!(error, "new_password: must be 8 to 128 bytes, got 7");
    assert!(check("password", &"x".repeat(129)).is_err());
}
