DROP FUNCTION kith_append;
DROP TABLE changes, messages, members, heads, conversations, sessions, last_seen, user_words, users, store;
