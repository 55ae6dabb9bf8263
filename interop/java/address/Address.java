import org.apache.rocketmq.common.BrokerConfig;

/** Prints the address that a broker here would give to clients, not being told one. */
public final class Address {
    private Address() {
    }

    public static void main(String[] arguments) {
        System.out.println(new BrokerConfig().getBrokerIP1());
    }
}
