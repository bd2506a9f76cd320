from hardy import Condition, Value


class Account:
    def __init__(self, balance):
        self._changed = Condition()
        self._balance = Value("i", balance, lock=False)

    def pay_in(self, amount):
        with self._changed:
            self._balance.value += amount
            self._changed.notify_all()

    def draw(self, amount, timeout=None):
        with self._changed:
            if not self._changed.wait_for(lambda: self._balance.value >= amount, timeout):
                return False
            self._balance.value -= amount
            return True


account = Account(10)
assert account.draw(7)
assert not account.draw(7, timeout=0.01)
account.pay_in(4)
assert account.draw(7)
